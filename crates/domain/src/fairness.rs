//! Whose turn it is among workspaces that contend for one limit: each gets its weighted share, and what one does not use
//! goes to the others.
//!
//! Start-time fair queueing: a turn costs its workspace so much of a common virtual time as its weight is small, and the
//! workspace that stands furthest back is next. One that comes anew starts at the time reached, so nobody saves up.

use std::collections::HashMap;

use crate::id::WorkspaceId;

/// Highest weight of a workspace; the lowest is 1.
pub const WEIGHT_MAX: u32 = 100;
/// What a turn costs a workspace of weight 1.
const TURN: u64 = 1 << 20;

/// Shares of workspaces.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    /// Where each workspace stands, if that is past the time reached.
    stands_at: HashMap<WorkspaceId, u64>,
    /// Virtual time of the last turn.
    reached: u64,
}

impl Shares {
    /// Who is next: the less, the sooner.
    #[must_use]
    pub fn stands_at(&self, workspace: WorkspaceId) -> u64 {
        self.stands_at.get(&workspace).map_or(self.reached, |at| *at.max(&self.reached))
    }

    /// A workspace used a turn.
    pub fn take(&mut self, workspace: WorkspaceId, weight: u32) {
        let start = self.stands_at(workspace);
        self.reached = start;
        self.stands_at.retain(|_, at| *at > start);
        self.stands_at.insert(workspace, start.saturating_add(TURN / u64::from(weight.clamp(1, WEIGHT_MAX))));
    }
}

/// A channel that contends for the limit of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contender {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The workspace's weight.
    pub weight: u32,
    /// The most that it can use by itself, in the limit's unit.
    pub rate: u64,
}

/// What a channel has of a limit over time while it and these others want all they can use: workspaces share by weight, the
/// channels of one alike, and what one cannot use goes to the others.
#[must_use]
pub fn share(limit: u64, own: Contender, others: &[Contender]) -> u64 {
    let mut workspaces: HashMap<WorkspaceId, Want> = HashMap::new();
    let mut fellows = Vec::new();
    for one in others {
        if one.workspace == own.workspace {
            fellows.push(Want { weight: 1, rate: one.rate });
        } else {
            let want = workspaces.entry(one.workspace).or_insert(Want { weight: one.weight, rate: 0 });
            want.rate = want.rate.saturating_add(one.rate);
        }
    }
    let all = fellows.iter().fold(own.rate, |sum, fellow| sum.saturating_add(fellow.rate));
    let of_workspace = fill(limit, Want { weight: own.weight, rate: all }, workspaces.into_values().collect());
    fill(of_workspace, Want { weight: 1, rate: own.rate }, fellows)
}

/// A claim to part of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Want {
    weight: u32,
    rate: u64,
}

/// What one has of a limit beside others, by weight.
fn fill(mut limit: u64, own: Want, mut others: Vec<Want>) -> u64 {
    // Each round serves one at least, or is the last.
    for _ in 0..=others.len() {
        let weights: u64 = others.iter().chain([&own]).map(|want| u64::from(want.weight.max(1))).sum();
        let part = |want: &Want| limit.saturating_mul(u64::from(want.weight.max(1))) / weights;
        let (served, open): (Vec<Want>, Vec<Want>) = others.iter().partition(|want| want.rate < part(want));
        if served.is_empty() {
            return part(&own).min(own.rate);
        }
        limit = limit.saturating_sub(served.iter().map(|want| want.rate).sum());
        others = open;
    }
    limit.min(own.rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const TURNS: usize = 10_000;

    fn workspace(number: usize) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(u128::try_from(number).expect("small")))
    }

    /// Turns of each, while those that wait at a turn are these.
    fn turns(weights: &[u32], waits: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let (mut shares, mut turns) = (Shares::default(), vec![0; weights.len()]);
        for turn in 0..TURNS {
            let waiting = (0..weights.len()).filter(|number| waits(turn, *number));
            let Some(next) = waiting.min_by_key(|number| shares.stands_at(workspace(*number))) else { continue };
            shares.take(workspace(next), weights[next]);
            turns[next] += 1;
        }
        turns
    }

    fn jain(shares: &[f64]) -> f64 {
        let (sum, squares): (f64, f64) = (shares.iter().sum(), shares.iter().map(|share| share * share).sum());
        sum * sum / (squares * f64::from(u32::try_from(shares.len()).expect("small")))
    }

    fn of(turns: &[usize], weights: &[u32]) -> Vec<f64> {
        let turns = turns.iter().map(|turns| f64::from(u32::try_from(*turns).expect("small")));
        turns.zip(weights).map(|(turns, weight)| turns / f64::from(*weight)).collect()
    }

    #[test]
    fn those_that_always_wait_share_by_weight() {
        for weights in [&[1; 20][..], &[1, 2, 3, 4], &[100, 1], &[7]] {
            let turns = turns(weights, |_, _| true);
            assert!(jain(&of(&turns, weights)) > 0.999, "{weights:?}: {turns:?}");
            assert_eq!(turns.iter().sum::<usize>(), TURNS);
        }
    }

    #[test]
    fn a_quiet_one_is_next_whenever_it_comes() {
        // The first always waits, each other one every hundredth turn.
        let turns = turns(&[1; 20], |turn, number| number == 0 || turn % 100 == number);
        assert!(turns[1..].iter().all(|turns| *turns == TURNS / 100), "{turns:?}");
    }

    #[test]
    fn nobody_saves_up_while_away() {
        let turns = turns(&[1, 1], |turn, number| number == 0 || turn >= TURNS / 2);
        assert!(turns[1].abs_diff(TURNS / 4) <= 1, "{turns:?}");
    }

    #[test]
    fn a_share_of_a_limit_is_by_weight_and_what_one_cannot_use_goes_to_the_others() {
        let one = |number, weight, rate| Contender { workspace: workspace(number), weight, rate };
        for (own, others, expected) in [
            (one(1, 1, 80), &[][..], 80),
            (one(1, 1, 500), &[], 200),
            (one(1, 1, 500), &[one(2, 1, 500)], 100),
            (one(1, 3, 500), &[one(2, 1, 500)], 150),
            (one(1, 1, 500), &[one(2, 1, 20)], 180),
            (one(1, 1, 500), &[one(2, 1, 20), one(3, 1, 55), one(4, 1, 500)], 62),
            (one(1, 1, 30), &[one(2, 1, 500)], 30),
            // Two channels of a workspace share what is the workspace's.
            (one(1, 1, 500), &[one(1, 1, 500), one(2, 1, 500)], 50),
            (one(1, 1, 500), &[one(1, 1, 10), one(2, 1, 500)], 90),
            (one(1, 0, 500), &[one(2, 0, 500)], 100),
        ] {
            assert_eq!(share(200, own, others), expected, "{own:?} beside {others:?}");
        }
    }

    #[test]
    fn only_those_that_are_ahead_are_remembered() {
        let mut shares = Shares::default();
        for number in 0..TURNS {
            shares.take(workspace(number), 1);
        }
        // All came anew at the same time.
        assert!(shares.stands_at.len() <= TURNS);
        shares.take(workspace(0), 1);
        shares.take(workspace(1), 1);
        shares.take(workspace(0), 1);
        assert!(shares.stands_at.len() <= 2, "{}", shares.stands_at.len());
    }
}
