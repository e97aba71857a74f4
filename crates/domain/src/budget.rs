//! How much of what a channel sends may be repetition: a provider that fails every second call must not be sent half as much
//! again.
//!
//! A repetition is a try of a part after one that counted. Each first try earns a tenth of one, a little comes with time, so
//! that a quiet channel repeats at all, and no more than the floor is ever saved up. A repetition gets its place when it is
//! planned, by what is likely to be earned until then, and needs what was really earned when its call begins. In the last moments
//! of its validity it goes all the same, and those after it pay for that.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What one repetition costs.
const COST: i64 = 100;
/// The recent past, in halves of so long: its first tries tell what is likely to be earned.
const HALF: SignedDuration = SignedDuration::from_secs(5);
/// So long before the end of its validity a repetition waits for its budget no longer: a claim, a turn and a call go into it.
const LAST_CHANCE: SignedDuration = SignedDuration::from_secs(30);

/// How repetitions are bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BudgetPolicy {
    /// Repetitions for a hundred first tries.
    pub percent: u32,
    /// Repetitions that are there at the beginning, and that may be saved up.
    pub floor: u32,
    /// One more comes after each such time.
    pub every: Duration,
}

/// The budget of one channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryBudget {
    policy: BudgetPolicy,
    /// In hundredths of a repetition; below zero after last chances that were not earned.
    saved: i64,
    saved_at: Timestamp,
    /// Repetitions that were planned and have not gone, in hundredths. What is earned beyond the floor counts against those of which
    /// nothing more is heard.
    ahead: i64,
    /// First tries of the present half of the recent past, and of the one before it.
    recent: [u32; 2],
    half_began_at: Timestamp,
    began_at: Timestamp,
}

impl RetryBudget {
    /// A full budget.
    #[must_use]
    pub fn new(policy: BudgetPolicy, now: Timestamp) -> Self {
        let saved = i64::from(policy.floor).saturating_mul(COST);
        Self { policy, saved, saved_at: now, ahead: 0, recent: [0; 2], half_began_at: now, began_at: now }
    }

    /// A first try was made.
    pub fn earn(&mut self, now: Timestamp) {
        self.advance(now);
        self.recent[0] = self.recent[0].saturating_add(1);
        self.save(i64::from(self.policy.percent));
    }

    /// When a repetition may go that may go from an instant on: its place, and never so late that it would no longer be valid.
    pub fn plan(&mut self, proposed: Timestamp, expires_at: Timestamp, now: Timestamp) -> Timestamp {
        self.advance(now);
        self.ahead = self.ahead.saturating_add(COST);
        proposed.max(self.place(expires_at, now))
    }

    /// Spends on a repetition that is about to go.
    ///
    /// # Errors
    /// The instant to which it is put off, when nothing is left.
    pub fn spend(&mut self, expires_at: Timestamp, now: Timestamp) -> Result<(), Timestamp> {
        self.advance(now);
        if self.saved < COST && now < last_chance(expires_at) {
            // It was planned elsewhere if it is not among those that are ahead.
            self.ahead = self.ahead.max(COST);
            return Err(self.place(expires_at, now));
        }
        self.ahead = self.ahead.saturating_sub(COST).max(0);
        // Debts are bounded like savings.
        self.saved = self.saved.saturating_sub(COST).max(-self.most());
        Ok(())
    }

    /// A repetition that was paid for did not go, or used no try: it will come again.
    pub fn give_back(&mut self) {
        self.save(COST);
        self.ahead = self.ahead.saturating_add(COST);
    }

    /// The instant at which enough is likely to be earned for all that were planned.
    fn place(&self, expires_at: Timestamp, now: Timestamp) -> Timestamp {
        let lacking = self.ahead.saturating_sub(self.saved).max(0);
        let wait = SignedDuration::try_from_secs_f64(lacking as f64 / self.likely_a_second());
        let place = now.saturating_add(wait.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX);
        place.min(last_chance(expires_at))
    }

    fn most(&self) -> i64 {
        i64::from(self.policy.floor).saturating_mul(COST)
    }

    fn save(&mut self, earned: i64) {
        let saved = self.saved.saturating_add(earned);
        self.saved = saved.min(self.most());
        self.ahead = self.ahead.saturating_sub(saved.saturating_sub(self.saved)).max(0);
    }

    /// Takes in the time that has passed. A clock that went back earns nothing until it is where it was.
    fn advance(&mut self, now: Timestamp) {
        let each = self.policy.every.as_nanos().max(1) / u128::from(COST.unsigned_abs());
        let passed = u128::try_from(now.duration_since(self.saved_at).as_nanos()).unwrap_or_default();
        let earned = i64::try_from(passed / each.max(1)).unwrap_or(i64::MAX);
        if earned > 0 {
            // What is left of the time counts with the next.
            let left = SignedDuration::from_nanos(i64::try_from(passed % each.max(1)).unwrap_or_default());
            self.saved_at = now.saturating_sub(left).unwrap_or(now);
            self.save(earned);
        }
        let age = now.duration_since(self.half_began_at);
        if age >= HALF {
            self.recent = [0, if age < HALF * 2 { self.recent[0] } else { 0 }];
            self.half_began_at = now;
        }
    }

    /// Hundredths of a repetition that are likely to be earned in a second.
    fn likely_a_second(&self) -> f64 {
        let known = self.saved_at.duration_since(self.began_at);
        let seen = self.saved_at.duration_since(self.half_began_at).saturating_add(HALF).min(known).as_secs_f64();
        let first_tries = f64::from(self.recent[0].saturating_add(self.recent[1])) / seen.max(1.0);
        let by_time = COST as f64 / self.policy.every.as_secs_f64().max(f64::MIN_POSITIVE);
        first_tries * f64::from(self.policy.percent) + by_time
    }
}

fn last_chance(expires_at: Timestamp) -> Timestamp {
    expires_at.saturating_sub(LAST_CHANCE).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const POLICY: BudgetPolicy = BudgetPolicy { percent: 10, floor: 20, every: Duration::from_secs(1) };
    const NEVER: Timestamp = Timestamp::MAX;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
    }

    fn millis(at_: Timestamp) -> i64 {
        at_.as_millisecond() - 1_800_000_000_000
    }

    #[test]
    fn a_quiet_channel_repeats_at_once_until_its_floor_is_used_and_then_at_a_pace() {
        let mut budget = RetryBudget::new(POLICY, at(0));
        let places: Vec<i64> = (0..24).map(|_| millis(budget.plan(at(0), NEVER, at(0)))).collect();
        assert!(places[..20].iter().all(|place| *place == 0), "{places:?}");
        assert_eq!(places[20..], [1000, 2000, 3000, 4000]);
        // What was planned is what can be paid for.
        assert!((0..20).all(|_| budget.spend(NEVER, at(0)).is_ok()));
        assert!(budget.spend(NEVER, at(0)).is_err_and(|place| place >= at(4000)));
        assert_eq!(budget.spend(NEVER, at(1000)), Ok(()));
        assert!(budget.spend(NEVER, at(1000)).is_err());
    }

    #[test]
    fn a_place_is_never_before_the_pause_is_over_nor_after_the_last_chance() {
        let mut budget = RetryBudget::new(BudgetPolicy { floor: 0, ..POLICY }, at(0));
        assert_eq!(budget.plan(at(5000), NEVER, at(0)), at(5000));
        for _ in 0..100 {
            budget.plan(at(0), NEVER, at(0));
        }
        assert_eq!(budget.plan(at(0), at(60_000), at(0)), at(30_000));
        assert_eq!(budget.plan(at(50_000), at(60_000), at(0)), at(50_000), "its own time is later still");
        assert!(budget.spend(at(60_000), at(29_999)).is_err_and(|place| place <= at(30_000)));
    }

    #[test]
    fn in_the_last_moments_it_goes_and_the_others_pay() {
        let mut budget = RetryBudget::new(BudgetPolicy { floor: 2, ..POLICY }, at(0));
        for _ in 0..10 {
            assert_eq!(budget.spend(at(30_000), at(0)), Ok(()));
        }
        assert!(budget.spend(NEVER, at(2900)).is_err(), "a debt of two, and one to be earned");
        assert_eq!(budget.spend(NEVER, at(3000)), Ok(()));
    }

    #[test]
    fn what_used_no_try_costs_nothing() {
        let mut budget = RetryBudget::new(BudgetPolicy { floor: 1, ..POLICY }, at(0));
        for _ in 0..5 {
            assert_eq!(budget.spend(NEVER, at(0)), Ok(()));
            budget.give_back();
        }
        budget.give_back();
        assert_eq!(budget.spend(NEVER, at(0)), Ok(()));
        assert!(budget.spend(NEVER, at(0)).is_err(), "and is no saving");
    }

    #[test]
    fn a_clock_that_went_back_earns_nothing_and_breaks_nothing() {
        let mut budget = RetryBudget::new(BudgetPolicy { floor: 1, ..POLICY }, at(0));
        assert_eq!(budget.spend(NEVER, at(0)), Ok(()));
        assert!(budget.spend(NEVER, at(-3_600_000)).is_err());
        assert_eq!(budget.spend(NEVER, at(1000)), Ok(()));
    }

    /// First tries and repetitions of a channel that is at it for so many milliseconds, each try failing by a draw; and
    /// repetitions that were put off when they were about to go.
    fn run(first_tries: &[i64], fails: impl Fn(usize) -> bool, until: i64) -> (usize, usize, usize) {
        let mut budget = RetryBudget::new(POLICY, at(0));
        let mut planned: BTreeSet<(Timestamp, usize)> = BTreeSet::new();
        let (mut tries, mut repeated, mut put_off) = (0, 0, 0);
        let mut first_tries = first_tries.iter().copied().peekable();
        let mut firsts = 0;
        for now in (0..until).map(at) {
            while planned.first().is_some_and(|(due, _)| *due <= now) {
                planned.pop_first();
                match budget.spend(NEVER, now) {
                    Ok(()) => {
                        (tries, repeated) = (tries + 1, repeated + 1);
                        if fails(tries) {
                            planned.insert((budget.plan(now, NEVER, now), tries));
                        }
                    }
                    Err(place) => {
                        assert!(place > now);
                        (tries, put_off) = (tries + 1, put_off + 1);
                        planned.insert((place, tries));
                    }
                }
            }
            while first_tries.next_if(|first| at(*first) <= now).is_some() {
                (tries, firsts) = (tries + 1, firsts + 1);
                budget.earn(now);
                if fails(tries) {
                    planned.insert((budget.plan(now, NEVER, now), tries));
                }
            }
        }
        (firsts, repeated, put_off)
    }

    #[test]
    fn beside_a_steady_stream_that_fails_by_half_a_tenth_is_repeated_and_little_is_planned_in_vain() {
        let stream: Vec<i64> = (0..60_000).step_by(12).collect();
        let (first, repeated, put_off) = run(&stream, |number| number % 2 == 0, 60_000);
        let earned = first / 10 + 60 + 20;
        assert!(repeated <= earned && repeated >= earned * 9 / 10, "{repeated} of {earned}");
        assert!(put_off <= repeated / 2, "{put_off} put off beside {repeated}");
    }

    #[test]
    fn after_a_burst_that_failed_repetitions_go_at_the_pace_of_time() {
        // What a full budget earns is lost.
        let (_, repeated, _) = run(&[0; 300], |_| true, 30_000);
        let earned = 30 + 20;
        assert!(repeated <= earned && repeated >= earned * 8 / 10, "{repeated} of {earned}");
    }

    proptest! {
        #[test]
        fn there_are_never_more_repetitions_than_were_earned(
            gaps in proptest::collection::vec(0_i64..300, 0..100),
            failing in 0_usize..11,
        ) {
            let mut now = 0;
            let first_tries: Vec<i64> = gaps.iter().map(|gap| { now += gap; now }).collect();
            let until = now + 5_000;
            let (first, repeated, _) = run(&first_tries, |number| number % 10 < failing, until);
            let seconds = usize::try_from(until / 1000).expect("small");
            prop_assert!(repeated <= first / 10 + seconds + 20 + 1, "{repeated} beside {first}");
        }
    }
}
