//! Claimed messages that wait for their turn, by lane.

use std::collections::VecDeque;

use domain::lanes::Turns;
use domain::message::Lane;

use crate::attempt::Ready;

/// The queues of a channel's lanes.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueues {
    queues: [VecDeque<Ready>; Lane::ALL.len()],
    turns: Turns,
}

impl ReadyQueues {
    /// Messages of all lanes.
    pub(crate) fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Messages of a lane.
    pub(crate) fn len_of(&self, lane: Lane) -> usize {
        self.queues[lane.index()].len()
    }

    /// Adds a message at the end of its lane.
    pub(crate) fn push(&mut self, ready: Ready) {
        self.queues[ready.message.lane.index()].push_back(ready);
    }

    /// Adds messages before all others of their lane, in this order.
    pub(crate) fn push_front(&mut self, messages: VecDeque<Ready>) {
        for ready in messages.into_iter().rev() {
            self.queues[ready.message.lane.index()].push_front(ready);
        }
    }

    /// The most urgent lane with a message.
    pub(crate) fn most_urgent(&self) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| self.len_of(*lane) > 0)
    }

    /// The message whose turn is next.
    pub(crate) fn next(&mut self) -> Option<&mut Ready> {
        let lane = self.next_lane()?;
        self.queues[lane.index()].front_mut()
    }

    /// Takes the message whose turn is next, and its turn.
    pub(crate) fn take_turn(&mut self) -> Option<Ready> {
        let lane = self.next_lane()?;
        let queues = &self.queues;
        self.turns.take(lane, |lane| !queues[lane.index()].is_empty());
        self.queues[lane.index()].pop_front()
    }

    /// Takes the message whose turn is next; the turn is for the one behind it.
    pub(crate) fn remove(&mut self) -> Option<Ready> {
        let lane = self.next_lane()?;
        self.queues[lane.index()].pop_front()
    }

    fn next_lane(&self) -> Option<Lane> {
        self.turns.next(|lane| !self.queues[lane.index()].is_empty())
    }
}
