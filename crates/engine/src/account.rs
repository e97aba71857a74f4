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
    shares: Shares,
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
    /// What it would send next.
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
            shares: Shares::default(),
            contenders: HashMap::new(),
            woken: None,
        }))
    }

    /// Goes on with another limit.
    pub(crate) fn set_rate(&self, messages_per_second: u32) {
        let mut state = self.lock();
        if state.rate != messages_per_second {
            state.rate = messages_per_second;
            state.pace.set_rate(messages_per_second);
        }
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
            state.shares.take(workspace, weight);
        }
        state.wake_next(now);
        Ok(())
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
        let standing =
            of_lane.map(|(channel, (contender, since))| (self.shares.stands_at(contender.workspace), *since, *channel));
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
