//! The limit that channels of one provider account share, and whose turn it is among them.
//!
//! All of them are sent by one replica, so the limit is kept here, exactly. Each lane asks just before its call; the most
//! urgent kind of message goes first, with a floor for each, then the workspace that is furthest behind its share. The
//! lane whose turn is next is woken, the others sleep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::fairness::Shares;
use domain::id::{ChannelId, WorkspaceId};
use domain::lanes::Turns;
use domain::message::Lane;
use domain::planted::{self, Bug};
use tokio::time::Instant;

use crate::pace::Pace;
use crate::wake::LetterBox;

/// A lane whose turn it is and that does not come for so long is passed over.
const PATIENCE: Duration = Duration::from_millis(20);

/// A provider account.
#[derive(Debug)]
pub(crate) struct Account(Mutex<State>);

#[derive(Debug)]
struct State {
    rate: u32,
    pace: Pace,
    turns: Turns,
    /// By the lane's index: what one is served in one lane is not held against it in another.
    shares: [Shares; Lane::ALL.len()],
    contenders: HashMap<ChannelId, (Contender, Instant)>,
    /// The lane that was told that it is next.
    woken: Option<ChannelId>,
}

/// A channel with something to send.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// Who pays for the turn.
    pub(crate) workspace: WorkspaceId,
    /// Its share.
    pub(crate) weight: u32,
    /// The most urgent that it has. Within the channel another lane may have its floor then.
    pub(crate) lane: Lane,
    /// Wakes it.
    pub(crate) letters: Arc<LetterBox>,
    /// When it asked last.
    pub(crate) asked_at: Instant,
}

impl Account {
    /// An account with a limit; its first turn comes after a rest.
    pub(crate) fn new(messages_per_second: u32, rest: Duration) -> Self {
        Self(Mutex::new(State {
            rate: messages_per_second,
            pace: Pace::new(messages_per_second, rest),
            turns: Turns::default(),
            shares: std::array::from_fn(|_| Shares::default()),
            contenders: HashMap::new(),
            woken: None,
        }))
    }

    /// Goes on with another limit.
    pub(crate) fn set_rate(&self, messages_per_second: u32) {
        let mut state = self.lock();
        state.rate = messages_per_second;
        state.pace.adapt(messages_per_second);
    }

    /// Takes a turn for a channel; else the time after which to ask again, unless it is woken before.
    pub(crate) fn take(&self, channel: ChannelId, contender: Contender) -> Result<(), Duration> {
        let mut state = self.lock();
        let now = contender.asked_at;
        // Who asks again has waited since it asked first.
        let since = state.contenders.get(&channel).map_or(now, |(_, since)| *since);
        state.contenders.insert(channel, (contender, since));
        let free = state.pace.hold();
        if state.next(now) != Some(channel) {
            state.wake_next(now);
            return Err(free.err().unwrap_or_default() + PATIENCE);
        }
        free?;
        state.pace.take();
        state.woken = None;
        if let Some((Contender { workspace, weight, lane, .. }, _)) = state.contenders.remove(&channel) {
            let mut turns = state.turns;
            turns.take(lane, |other| other == lane || state.is_waiting(other));
            state.turns = turns;
            state.shares[lane.index()].take(workspace, weight);
        }
        state.wake_next(now);
        Ok(())
    }

    /// What one of those that contend may send within a second, about.
    pub(crate) fn share(&self) -> usize {
        let state = self.lock();
        (state.rate as usize / state.contenders.len().max(1)).max(1)
    }

    /// A channel has nothing to send any more.
    pub(crate) fn leave(&self, channel: ChannelId) {
        let mut state = self.lock();
        if state.contenders.remove(&channel).is_some() {
            state.wake_next(Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The channel whose turn is next: of the lane that is next, of the workspace furthest behind, the one that asked first.
    fn next(&self, now: Instant) -> Option<ChannelId> {
        let is_patient = |contender: &Contender| now.saturating_duration_since(contender.asked_at) < self.patience();
        let waiting = || self.contenders.iter().filter(|(_, (contender, _))| is_patient(contender));
        let lane = self.turns.next(|lane| waiting().any(|(_, (contender, _))| contender.lane == lane))?;
        let of_lane = waiting().filter(|(_, (contender, _))| contender.lane == lane);
        let standing = of_lane.map(|(channel, (contender, since))| {
            let stands_at = self.shares[lane.index()].stands_at(contender.workspace);
            (if planted::is(Bug::TurnsIgnoreTenants) { 0 } else { stands_at }, *since, *channel)
        });
        standing.min().map(|(_, _, channel)| channel)
    }

    fn is_waiting(&self, lane: Lane) -> bool {
        self.contenders.values().any(|(contender, _)| contender.lane == lane)
    }

    /// A contender asks again after a turn at the latest.
    fn patience(&self) -> Duration {
        PATIENCE * 2 + Duration::from_secs(1) / self.rate.max(1)
    }

    /// Wakes the lane that is next, once.
    fn wake_next(&mut self, now: Instant) {
        let next = self.next(now).filter(|next| self.woken != Some(*next));
        if let Some((contender, _)) = next.and_then(|channel| self.contenders.get(&channel)) {
            contender.letters.nudge();
            self.woken = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wake::Wake;

    /// So high that the limit keeps nobody waiting: whose turn it is decides alone.
    const UNLIMITED: u32 = 1_000_000;

    /// Channels that ask, each of a workspace of its own.
    struct Askers {
        account: Account,
        wake: Wake,
        start: Instant,
    }

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(number))
    }

    impl Askers {
        fn new(messages_per_second: u32) -> Self {
            let account = Account::new(messages_per_second, Duration::ZERO);
            Self { account, wake: Wake::default(), start: Instant::now() }
        }

        fn contender(&self, number: u128, weight: u32, lane: Lane, milliseconds: u64) -> Contender {
            Contender {
                workspace: WorkspaceId(Uuid::from_u128(number)),
                weight,
                lane,
                letters: self.wake.open(channel(number)),
                asked_at: self.start + Duration::from_millis(milliseconds),
            }
        }

        /// A channel asks, so many milliseconds after the start; answers whether it had its turn.
        fn ask(&self, number: u128, weight: u32, lane: Lane, milliseconds: u64) -> bool {
            self.account.take(channel(number), self.contender(number, weight, lane, milliseconds)).is_ok()
        }

        /// A channel asked before there was a turn.
        fn wait(&self, number: u128, weight: u32, lane: Lane, milliseconds: u64) {
            let contender = self.contender(number, weight, lane, milliseconds);
            let asked_at = contender.asked_at;
            self.account.lock().contenders.insert(channel(number), (contender, asked_at));
        }
    }

    #[tokio::test]
    async fn one_that_contends_alone_has_every_turn() {
        let askers = Askers::new(UNLIMITED);
        assert!((0..100).all(|at| askers.ask(1, 1, Lane::Bulk, at)));
    }

    #[tokio::test]
    async fn two_equals_that_both_wait_do_not_make_way_for_each_other_for_ever() {
        // A limit that is used up, so that both wait while they ask again and again.
        let askers = Askers::new(1);
        assert!(askers.ask(1, 1, Lane::Normal, 0));
        assert!(!askers.ask(2, 1, Lane::Normal, 1) && !askers.ask(3, 1, Lane::Normal, 2));
        for at in 3..9 {
            assert!(!askers.ask(2 + u128::from(at % 2), 1, Lane::Normal, at));
            let state = askers.account.lock();
            assert_eq!(state.next(askers.start + Duration::from_millis(at)), Some(channel(2)), "who waited first");
        }
    }

    #[tokio::test]
    async fn those_that_wait_have_turns_by_weight() {
        let askers = Askers::new(UNLIMITED);
        let weights = [1, 1, 1, 3];
        for (number, weight) in (0..).zip(weights) {
            askers.wait(number, weight, Lane::Normal, 0);
        }
        let mut turns = [0_usize; 4];
        for round in 0..600 {
            for (number, (weight, turns)) in (0..).zip(weights.into_iter().zip(&mut turns)) {
                if askers.ask(number, weight, Lane::Normal, round) {
                    *turns += 1;
                    // It has more to send.
                    askers.wait(number, weight, Lane::Normal, round);
                }
            }
        }
        let all: usize = turns.iter().sum();
        assert!(all >= 600, "a turn a round at least: {turns:?}");
        let is_near = |turns: usize, weight: usize| turns.abs_diff(all * weight / 6) <= 2;
        assert!(turns.iter().zip([1, 1, 1, 3]).all(|(turns, weight)| is_near(*turns, weight)), "{turns:?}");
    }

    #[tokio::test]
    async fn the_more_urgent_goes_first_whoever_has_it() {
        let askers = Askers::new(UNLIMITED);
        askers.wait(2, 1, Lane::Urgent, 0);
        assert!(!askers.ask(1, 100, Lane::Bulk, 1));
        assert!(askers.ask(2, 1, Lane::Urgent, 2));
        assert!(askers.ask(1, 100, Lane::Bulk, 3));
    }

    #[tokio::test]
    async fn one_that_does_not_come_for_its_turn_is_passed_over() {
        let askers = Askers::new(1);
        assert!(askers.ask(1, 1, Lane::Normal, 0));
        assert!(!askers.ask(2, 1, Lane::Urgent, 1) && !askers.ask(3, 1, Lane::Bulk, 2));
        let next = |milliseconds| askers.account.lock().next(askers.start + Duration::from_millis(milliseconds));
        assert_eq!(next(3), Some(channel(2)));
        // A turn at this limit and twice the patience.
        assert!(!askers.ask(3, 1, Lane::Bulk, 1_045));
        assert_eq!(next(1_045), Some(channel(3)));
    }

    #[tokio::test]
    async fn one_that_leaves_makes_way_at_once() {
        let askers = Askers::new(1);
        assert!(askers.ask(1, 1, Lane::Normal, 0));
        assert!(!askers.ask(2, 1, Lane::Urgent, 1) && !askers.ask(3, 1, Lane::Bulk, 2));
        let letters = askers.wake.open(channel(3));
        askers.account.lock().contenders.get_mut(&channel(3)).expect("it waits").0.letters = letters.clone();
        askers.account.leave(channel(2));
        tokio::time::timeout(Duration::from_secs(5), letters.told()).await.expect("the next one is woken");
    }

    #[tokio::test]
    async fn a_lower_limit_holds_at_once() {
        let askers = Askers::new(UNLIMITED);
        assert!((0..10).all(|at| askers.ask(1, 1, Lane::Normal, at)));
        askers.account.set_rate(5);
        assert!(!askers.ask(1, 1, Lane::Normal, 11), "ten of the last second are too many");
    }
}
