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
