//! Whose turn it is among the lanes of a channel: urgent first, and no lane starved.
//!
//! A waiting lane that is passed over earns a share of each turn; when it has earned a whole one, the turn is its own.
//! Nothing is earned while nothing waits, and never more than one turn is kept, so that a lane cannot save up.

use crate::message::Lane;

/// Percent of the turns that a lane gets at least while it waits, by number of the lane. What is left goes by urgency.
const FLOORS_PERCENT: [u32; Lane::ALL.len()] = [0, 20, 20];
const WHOLE_PERCENT: u32 = 100;

/// Percent of the turns that each lane has, by its index, while these wait: what [`Turns`] gives over time. None has any when
/// none waits.
#[must_use]
pub fn shares_percent(waits: impl Fn(Lane) -> bool) -> [u32; Lane::ALL.len()] {
    let mut shares = Lane::ALL.map(|lane| if waits(lane) { FLOORS_PERCENT[lane.index()] } else { 0 });
    let left = WHOLE_PERCENT - shares.iter().sum::<u32>();
    if let Some(most_urgent) = Lane::ALL.into_iter().find(|lane| waits(*lane)) {
        shares[most_urgent.index()] += left;
    }
    shares
}

/// The turns of a channel's lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turns {
    earned_percent: [u32; Lane::ALL.len()],
}

impl Turns {
    /// The lane whose turn is next, of those that wait; nothing is used up.
    #[must_use]
    pub fn next(&self, waits: impl Fn(Lane) -> bool) -> Option<Lane> {
        let is_owed = |lane: &Lane| self.earned_percent[lane.index()] >= WHOLE_PERCENT && waits(*lane);
        // Of two that are owed a turn, the one that would otherwise wait longest.
        Lane::ALL.into_iter().rev().find(is_owed).or_else(|| Lane::ALL.into_iter().find(|lane| waits(*lane)))
    }

    /// A lane used its turn, while these waited, the lane itself among them.
    pub fn take(&mut self, taken: Lane, waits: impl Fn(Lane) -> bool) {
        for lane in Lane::ALL.into_iter().filter(|lane| waits(*lane)) {
            let earned = &mut self.earned_percent[lane.index()];
            // What is owed outlasts a message that is given back and taken again.
            *earned = (*earned + FLOORS_PERCENT[lane.index()]).min(2 * WHOLE_PERCENT);
        }
        let earned = &mut self.earned_percent[taken.index()];
        *earned = earned.saturating_sub(WHOLE_PERCENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: usize = 1000;

    /// Turns of each lane while these wait all the time.
    fn shares(waiting: &[Lane]) -> [usize; 3] {
        let (mut turns, mut shares) = (Turns::default(), [0; 3]);
        let waits = |lane| waiting.contains(&lane);
        for _ in 0..TURNS {
            let lane = turns.next(waits).expect("one waits");
            turns.take(lane, waits);
            shares[lane.index()] += 1;
        }
        shares
    }

    #[test]
    fn every_waiting_lane_has_its_floor_and_the_most_urgent_has_the_rest() {
        for (waiting, expected) in [
            (&[Lane::Urgent, Lane::Normal, Lane::Bulk][..], [600, 200, 200]),
            (&[Lane::Urgent, Lane::Bulk], [800, 0, 200]),
            (&[Lane::Normal, Lane::Bulk], [0, 800, 200]),
        ] {
            let percent = shares_percent(|lane| waiting.contains(&lane)).map(|share| share as usize * TURNS / 100);
            assert_eq!(percent, expected, "{waiting:?}");
            // A turn that is owed may still be to come at the end.
            let is_near = |(share, expected): (usize, usize)| share.abs_diff(expected) <= 2;
            assert!(shares(waiting).into_iter().zip(expected).all(is_near), "{waiting:?}: {:?}", shares(waiting));
        }
        for lane in Lane::ALL {
            assert_eq!(shares(&[lane])[lane.index()], TURNS);
        }
        assert_eq!(Turns::default().next(|_| false), None);
        assert_eq!(shares_percent(|_| false), [0; 3]);
    }

    #[test]
    fn an_urgent_message_never_waits_for_more_than_two_others() {
        let mut turns = Turns::default();
        for _ in 0..TURNS {
            let waits = |lane| lane != Lane::Urgent;
            let lane = turns.next(waits).expect("one waits");
            turns.take(lane, waits);
        }
        let all = |_| true;
        let passed = std::iter::from_fn(|| {
            let lane = turns.next(all)?;
            turns.take(lane, all);
            (lane != Lane::Urgent).then_some(lane)
        });
        assert!(passed.count() <= 2);
    }

    #[test]
    fn a_lane_saves_nothing_while_it_is_empty() {
        let mut turns = Turns::default();
        for _ in 0..TURNS {
            turns.take(Lane::Urgent, |lane| lane == Lane::Urgent);
        }
        assert_eq!(turns.next(|_| true), Some(Lane::Urgent));
    }

    #[test]
    fn what_a_lane_is_owed_outlasts_a_moment_without_messages() {
        let mut turns = Turns::default();
        for turn in 0..12 {
            // The bulk message is given back and taken again all the time.
            let waits = |lane| lane == Lane::Urgent || (lane == Lane::Bulk && turn % 2 == 0);
            turns.take(Lane::Urgent, waits);
        }
        assert_eq!(turns.next(|lane| lane != Lane::Normal), Some(Lane::Bulk));
    }
}
