//! When and from where a lane looks for rows.
//!
//! A look begins where the last one ended: rows due before were taken, or are told of by a hint. Without hints it would
//! walk over what was taken and ended since, which stays in the index for a while, and for long beside an old transaction.
//! The owner's own look goes back to the beginning from time to time, so a lost hint delays a message and loses none.

use std::sync::Arc;
use std::time::Duration;

use domain::message::Lane;
use jiff::Timestamp;
use store::lease::Lease;
use store::outbox::{Room, Wanted};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::claimer::{Answer, Claimer};
use crate::wake::{Due, LetterBox};

/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();
/// Without a hint there is nothing to look for; a timer needs an instant all the same.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// Looks of one channel.
pub(crate) struct Looks {
    letters: Arc<LetterBox>,
    /// When the next claim may find something in a lane, by its index.
    at: [Instant; LANES],
    /// Where it begins.
    due_from: [Timestamp; LANES],
    /// What was told since the claim that is under way was asked for.
    told: [Option<Timestamp>; LANES],
    /// The claim that is under way, and what it asked for.
    asked: Option<(oneshot::Receiver<Answer>, Room)>,
}

impl Looks {
    /// Everything is to be looked for, from the beginning.
    pub(crate) fn new(letters: Arc<LetterBox>) -> Self {
        let due_from = letters.due_from();
        Self { letters, at: [Instant::now(); LANES], due_from, told: [None; LANES], asked: None }
    }

    /// Takes in what was told of a lane; it may be taken at an instant.
    pub(crate) fn tell(&mut self, lane: Lane, due: Due, at: Instant) {
        let index = lane.index();
        self.at[index] = at.min(self.at[index]);
        self.told[index] = Some(self.told[index].map_or(due.from, |from| from.min(due.from)));
    }

    /// All lanes are worth a look now, from where they were.
    pub(crate) fn look_now(&mut self) {
        self.at = [Instant::now(); LANES];
    }

    /// All lanes are worth a look after a pause.
    pub(crate) fn look_after(&mut self, pause: Duration) {
        self.at = [Instant::now() + pause; LANES];
    }

    /// Whether a claim is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for rows of the lanes that are worth a look and have room.
    pub(crate) fn ask(&mut self, claimer: &Claimer, lease: &Lease, mut room: Room) {
        let now = Instant::now();
        for (room, at) in room.lanes.iter_mut().zip(self.at) {
            *room = if at > now { 0 } else { *room };
        }
        room.total = room.total.min(room.lanes.iter().sum());
        if room.total == 0 || self.asked.is_some() {
            return;
        }
        for ((due_from, told), _) in
            self.due_from.iter_mut().zip(&mut self.told).zip(room.lanes).filter(|(_, n)| *n > 0)
        {
            *due_from = told.take().map_or(*due_from, |told| told.min(*due_from));
        }
        let wanted = Wanted { lease: *lease, due_from: self.due_from, room };
        for (at, _) in self.at.iter_mut().zip(room.lanes).filter(|(_, room)| *room > 0) {
            *at = now + NEVER;
        }
        self.asked = Some((claimer.ask(wanted), room));
    }

    /// The answer to the claim that is under way, `None` when it failed; waits for ever when none is.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let Some((answered, _)) = &mut self.asked else { return std::future::pending().await };
        answered.await.ok()
    }

    /// Takes in an answer.
    pub(crate) fn take(&mut self, answer: &Answer) {
        let Some((_, room)) = self.asked.take() else { return };
        let is_cut = answer.claimed.len() >= room.total;
        for lane in Lane::ALL.into_iter().filter(|lane| room.lanes[lane.index()] > 0) {
            let index = lane.index();
            let mut taken = answer.claimed.iter().filter(|message| message.lane == lane).map(|message| message.due_at);
            let count = taken.clone().count();
            if count == room.lanes[index] || is_cut {
                // There may be more, due from the last one on.
                self.at[index] = Instant::now();
                self.due_from[index] =
                    taken.next_back().map_or(self.due_from[index], |last| last.max(self.due_from[index]));
            } else {
                self.due_from[index] = answer.now.max(self.due_from[index]);
            }
        }
        self.letters.set_due_from(self.due_from);
    }

    /// The claim that is under way failed.
    pub(crate) fn fail(&mut self, pause: Duration) {
        self.asked = None;
        self.look_after(pause);
    }

    /// When a claim may find something that there is room for; `None` without room, or while one is under way.
    pub(crate) fn next(&self, room: Room) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let looks = self.at.into_iter().zip(room.lanes).filter_map(|(at, room)| (room > 0).then_some(at));
        looks.min().filter(|_| room.total > 0)
    }
}
