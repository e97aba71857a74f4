//! When a message goes that waits behind others.
//!
//! What waits on a channel is taken as a fluid that drains at the channel's rate, each lane at its share of the turns
//! (`domain::lanes`), from one event to the next: something falls due, a lane is drained. A dry run, an explanation and the
//! decision whether to accept at all ask the same function, so what is told is what is decided by.
//!
//! Not part of it: the pace of a recipient, gates, the seconds after one opened, pauses, and what is accepted later.

use jiff::{SignedDuration, Timestamp};

use crate::lanes::shares_percent;
use crate::limits::RATE_WINDOW;
use crate::message::Lane;

/// Instants at which something falls due that a forecast looks at; more are no more exact.
pub const ARRIVALS_MAX: usize = 64;
/// Rates are given in thousandths: of an account's limit a channel may have less than one message a second.
pub const THOUSAND: u64 = 1000;
/// Events that one arrival may bring: itself, and each lane drained once more.
const EVENTS_AN_ARRIVAL: usize = 1 + LANES;
/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();
/// One message in units of the fluid: what a whole lane at a thousandth of a message a second sends in a nanosecond is 100.
const MESSAGE: u128 = 100 * 1000 * RATE_WINDOW.as_nanos();

/// Messages that fall due at an instant, by the lane's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub lanes: [u64; LANES],
}

/// What waits on a channel, as it was seen at an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Messages that go in a thousand seconds.
    pub rate_thousandths: u64,
    /// Messages that were due then, by the lane's index.
    pub due: [u64; LANES],
    /// What falls due later, in order.
    pub arrivals: Vec<Arrival>,
}

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its lane.
    pub lane: Lane,
    /// Those of its lane that were due already and go before it. What falls due up to its own time goes before it, too.
    pub ahead: u64,
    /// Not before this instant.
    pub earliest: Timestamp,
}

impl Queue {
    /// When those are through that go before a message; never before its own time, nor before the queue was seen.
    #[must_use]
    pub fn turn(&self, place: &Place) -> Timestamp {
        let own = place.lane.index();
        let mut flow = Flow::new(self, place);
        let mut arrivals = self.arrivals.iter().take(ARRIVALS_MAX).peekable();
        for _ in 0..(self.arrivals.len().min(ARRIVALS_MAX) + 2) * EVENTS_AN_ARRIVAL {
            while let Some(arrival) = arrivals.next_if(|arrival| self.since_seen(arrival.at) <= flow.at) {
                flow.add(arrival, place);
            }
            let earliest = self.since_seen(place.earliest);
            if flow.ahead == 0 && flow.at >= earliest {
                break;
            }
            let arrival = arrivals.peek().map(|arrival| self.since_seen(arrival.at));
            let own_time = Some(earliest).filter(|at| *at > flow.at);
            let until = arrival.into_iter().chain(own_time).min();
            if !flow.advance(self.rate_thousandths.max(1), own, until) {
                break;
            }
        }
        let ahead = SignedDuration::from_nanos(i64::try_from(flow.at).unwrap_or(i64::MAX));
        self.seen_at.saturating_add(ahead).unwrap_or(Timestamp::MAX).max(place.earliest)
    }

    /// Nanoseconds from when it was seen until an instant, none for one before.
    fn since_seen(&self, at: Timestamp) -> u128 {
        u128::try_from(at.duration_since(self.seen_at).as_nanos()).unwrap_or_default()
    }
}

/// The fluid, some time after the queue was seen.
struct Flow {
    /// Nanoseconds since.
    at: u128,
    left: [u128; LANES],
    /// What of its own lane is before the message.
    ahead: u128,
}

impl Flow {
    fn new(queue: &Queue, place: &Place) -> Self {
        let mut left = queue.due.map(fluid);
        let ahead = fluid(place.ahead);
        let own = &mut left[place.lane.index()];
        *own = ahead.max(*own);
        Self { at: 0, left, ahead }
    }

    fn add(&mut self, arrival: &Arrival, place: &Place) {
        for (left, messages) in self.left.iter_mut().zip(arrival.lanes) {
            *left += fluid(messages);
        }
        if arrival.at <= place.earliest {
            self.ahead += fluid(arrival.lanes[place.lane.index()]);
        }
    }

    /// Goes on to the next event; `false` when nothing is left to happen.
    fn advance(&mut self, rate: u64, own: usize, until: Option<u128>) -> bool {
        let shares = shares_percent(|lane| self.left[lane.index()] > 0);
        let speeds = shares.map(|share| u128::from(share) * u128::from(rate));
        let time = |(left, speed): (u128, u128)| (left > 0 && speed > 0).then(|| left.div_ceil(speed));
        let drained = self.left.into_iter().zip(speeds).filter_map(time);
        let through = time((self.ahead, speeds[own]));
        let event = drained.chain(through).chain(until.map(|at| at.saturating_sub(self.at))).min();
        let Some(passed) = event else { return false };
        for (left, speed) in self.left.iter_mut().zip(speeds) {
            *left = left.saturating_sub(passed * speed);
        }
        self.ahead = self.ahead.saturating_sub(passed * speeds[own]);
        self.at += passed;
        true
    }
}

fn fluid(messages: u64) -> u128 {
    u128::from(messages) * MESSAGE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::Turns;

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(milliseconds).expect("small")).expect("an instant")
    }

    fn queue(rate: u64, due: [u64; 3], arrivals: &[(u64, [u64; 3])]) -> Queue {
        let arrivals = arrivals.iter().map(|(seconds, lanes)| Arrival { at: at(seconds * 1000), lanes: *lanes });
        Queue { seen_at: at(0), rate_thousandths: rate * THOUSAND, due, arrivals: arrivals.collect() }
    }

    fn place(lane: Lane, ahead: u64, earliest_seconds: u64) -> Place {
        Place { lane, ahead, earliest: at(earliest_seconds * 1000) }
    }

    fn check(queue: &Queue, place: &Place, expected_seconds: f64) {
        let turn = queue.turn(place).duration_since(at(0)).as_secs_f64();
        assert!((turn - expected_seconds).abs() < 0.001, "{turn}, not {expected_seconds}: {place:?} in {queue:?}");
    }

    #[test]
    fn who_waits_alone_goes_at_its_own_time() {
        check(&queue(80, [0; 3], &[]), &place(Lane::Normal, 0, 0), 0.0);
        check(&queue(80, [0; 3], &[]), &place(Lane::Bulk, 0, 7), 7.0);
        check(&queue(0, [0; 3], &[]), &place(Lane::Bulk, 0, 7), 7.0);
    }

    #[test]
    fn those_ahead_go_at_the_rate_and_share_of_their_lane() {
        // 1,000 messages at 100 a window of 1.02 s.
        check(&queue(100, [0, 1000, 0], &[]), &place(Lane::Normal, 1000, 0), 10.2);
        check(&queue(100, [0, 1000, 0], &[]), &place(Lane::Normal, 500, 0), 5.1);
        // Behind an urgent backlog a fifth of the turns; when that is through, all of them.
        check(&queue(100, [10_000, 1000, 0], &[]), &place(Lane::Normal, 1000, 0), 51.0);
        check(&queue(100, [1000, 1000, 0], &[]), &place(Lane::Normal, 1000, 0), 12.75 + (1000.0 - 250.0) * 0.0102);
        check(&queue(100, [10_000, 1000, 1000], &[]), &place(Lane::Urgent, 600, 0), 10.2);
        check(&queue(100, [0, 1000, 1000], &[]), &place(Lane::Normal, 800, 0), 10.2);
    }

    #[test]
    fn what_falls_due_before_it_is_ahead_and_what_falls_due_later_is_not() {
        let arrivals = [(5, [0, 100, 0]), (20, [0, 1000, 0])];
        check(&queue(100, [0; 3], &arrivals), &place(Lane::Normal, 0, 5), 6.02);
        check(&queue(100, [0; 3], &arrivals), &place(Lane::Normal, 0, 4), 4.0);
        check(&queue(100, [0; 3], &arrivals), &place(Lane::Normal, 0, 19), 19.0);
        check(&queue(100, [0; 3], &arrivals), &place(Lane::Normal, 0, 20), 30.2);
        // What is more urgent goes before it also when it comes later.
        let urgent = [(2, [10_000, 0, 0])];
        check(&queue(100, [0, 1000, 0], &urgent), &place(Lane::Normal, 1000, 0), 2.0 + 5.0 * (10.2 - 2.0));
    }

    #[test]
    fn a_part_of_a_rate_is_enough() {
        let slow = Queue { rate_thousandths: 500, ..queue(0, [0, 10, 0], &[]) };
        check(&slow, &place(Lane::Normal, 10, 0), 20.4);
    }

    #[test]
    fn the_longest_queue_there_may_be_has_an_end() {
        let all = queue(1, [100_000_000; 3], &[(1, [100_000_000; 3])]);
        assert!(all.turn(&place(Lane::Bulk, 100_000_000, 1)) > at(1000));
    }

    /// The same turn by turn, as lanes take them.
    fn by_turns(queue: &Queue, place: &Place) -> f64 {
        let turn_seconds = RATE_WINDOW.as_secs_f64() * 1000.0 / queue.rate_thousandths as f64;
        let (mut turns, mut left, mut ahead, mut now) = (Turns::default(), queue.due, place.ahead, 0.0);
        let mut arrivals = queue.arrivals.iter().peekable();
        let seconds = |at: Timestamp| at.duration_since(queue.seen_at).as_secs_f64();
        loop {
            while let Some(arrival) = arrivals.next_if(|arrival| seconds(arrival.at) <= now) {
                (0..3).for_each(|lane| left[lane] += arrival.lanes[lane]);
                if arrival.at <= place.earliest {
                    ahead += arrival.lanes[place.lane.index()];
                }
            }
            if ahead == 0 && now >= seconds(place.earliest) {
                return now;
            }
            let waits = |lane: Lane| left[lane.index()] > 0;
            let Some(lane) = turns.next(waits) else {
                now = arrivals.peek().map_or(f64::MAX, |arrival| seconds(arrival.at));
                now = if ahead == 0 { now.min(seconds(place.earliest)) } else { now };
                continue;
            };
            turns.take(lane, waits);
            left[lane.index()] -= 1;
            if lane == place.lane {
                ahead = ahead.saturating_sub(1);
            }
            now += turn_seconds;
        }
    }

    proptest! {
        #[test]
        fn a_forecast_is_what_the_lanes_do(
            rate in 1_u64..200,
            due in prop::array::uniform3(0_u64..600),
            arrivals in prop::collection::vec((0_u64..60, prop::array::uniform3(0_u64..200)), 0..5),
            lane in 0_usize..3,
            part in 0.0_f64..=1.0,
            earliest in 0_u64..60,
        ) {
            let mut arrivals = arrivals;
            arrivals.sort();
            let queue = queue(rate, due, &arrivals);
            let lane = Lane::ALL[lane];
            let ahead = (due[lane.index()] as f64 * part) as u64;
            // One that is not due yet is behind all that are.
            let ahead = if earliest > 0 { due[lane.index()] } else { ahead };
            let place = place(lane, ahead, earliest);
            let told = queue.turn(&place).duration_since(at(0)).as_secs_f64();
            let expected = by_turns(&queue, &place);
            // Some turns are owed when a lane drains or comes anew, at each of which a lane of a fifth waits for five.
            let turns = 10.0 * (2.0 + queue.arrivals.len() as f64);
            prop_assert!((told - expected).abs() <= turns * 1.02 / rate as f64, "{told}, not {expected}");
        }

        #[test]
        fn more_ahead_is_never_sooner_and_nothing_goes_before_its_time(
            rate in 1_u64..200,
            due in prop::array::uniform3(0_u64..100_000),
            ahead in 0_u64..100_000,
            more in 0_u64..1000,
            earliest in 0_u64..1000,
        ) {
            let queue = queue(rate, due, &[]);
            let turn = |ahead| queue.turn(&place(Lane::Normal, ahead, earliest));
            prop_assert!(turn(ahead) <= turn(ahead + more));
            prop_assert!(turn(ahead) >= at(earliest * 1000));
        }
    }
}
