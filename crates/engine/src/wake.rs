//! Hints to lanes: there may be something due. Lost or superfluous hints change nothing but the time until the next look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use domain::id::ChannelId;
use domain::message::Lane;
use jiff::Timestamp;
use store::notify::DueHint;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();
/// After a pause of so long, work is news.
const STIRRED: Duration = Duration::from_secs(1);
/// Hints about channels of other replicas that may wait to be sent; more are left to the owners' looks.
const FOREIGN_MAX: usize = 10_000;

/// What a lane has been told since it last looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hints {
    /// By the lane's index: the earliest due instant of what there may be, and when it may be taken.
    pub(crate) due: [Option<Due>; LANES],
    /// The validity of something is over.
    pub(crate) expired: bool,
}

/// Something may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// Its due instant: a claim looks from here on.
    pub(crate) from: Timestamp,
    /// When it may be taken: then, or when a former claim lapses.
    pub(crate) at: Timestamp,
}

impl Due {
    fn and(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), at: self.at.min(other.at) }
    }
}

impl Hints {
    /// Something of a lane may be taken.
    pub(crate) fn due(lane: Lane, due: Due) -> Self {
        let mut hints = Self::default();
        hints.due[lane.index()] = Some(due);
        hints
    }
}

/// One channel's letter box.
#[derive(Debug)]
pub(crate) struct LetterBox {
    hints: Mutex<Hints>,
    notify: Notify,
    due_from: Mutex<[Timestamp; LANES]>,
    worked_at: Mutex<Option<Instant>>,
}

impl LetterBox {
    fn new() -> Self {
        let due_from = Mutex::new([Timestamp::UNIX_EPOCH; LANES]);
        Self { hints: Mutex::default(), notify: Notify::new(), due_from, worked_at: Mutex::default() }
    }

    /// Takes what has been told.
    pub(crate) fn take(&self) -> Hints {
        std::mem::take(&mut *lock(&self.hints))
    }

    /// Waits until something is told.
    pub(crate) async fn told(&self) {
        self.notify.notified().await;
    }

    /// Wakes the lane, without news.
    pub(crate) fn nudge(&self) {
        self.notify.notify_one();
    }

    pub(crate) fn tell(&self, new: Hints) {
        let mut hints = lock(&self.hints);
        for (known, new) in hints.due.iter_mut().zip(new.due) {
            *known = match (*known, new) {
                (Some(known), Some(new)) => Some(known.and(new)),
                (known, new) => known.or(new),
            };
        }
        hints.expired |= new.expired;
        drop(hints);
        self.note_work();
        self.notify.notify_one();
    }

    /// The channel has something to do.
    pub(crate) fn note_work(&self) {
        *lock(&self.worked_at) = Some(Instant::now());
    }

    /// Where each lane begins to look.
    pub(crate) fn due_from(&self) -> [Timestamp; LANES] {
        *lock(&self.due_from)
    }

    /// The lanes need not look at what was due before.
    pub(crate) fn set_due_from(&self, due_from: [Timestamp; LANES]) {
        *lock(&self.due_from) = due_from;
    }
}

/// Reaches the lanes of this process, and through the database those of others. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    boxes: Mutex<HashMap<ChannelId, Arc<LetterBox>>>,
    foreign: OnceLock<mpsc::Sender<DueHint>>,
    worked_at: Mutex<Option<Instant>>,
    stirred: Notify,
}

impl Wake {
    /// Something of a channel's lane falls due at an instant, or has. Whoever owns the channel is told.
    pub fn due(&self, channel: ChannelId, lane: Lane, due_at: Timestamp) {
        let is_here = self.tell(channel, Hints::due(lane, Due { from: due_at, at: due_at }));
        if let Some(foreign) = self.0.foreign.get().filter(|_| !is_here)
            && foreign.try_send(DueHint { channel, lane, due_at }).is_err()
        {
            tracing::debug!(%channel, "too many hints wait; the owner finds out by looking");
        }
    }

    /// Tells a lane of this process; answers whether there is one.
    pub(crate) fn tell(&self, channel: ChannelId, hints: Hints) -> bool {
        self.note_work();
        let letter_box = lock(&self.0.boxes).get(&channel).cloned();
        letter_box.map(|letter_box| letter_box.tell(hints)).is_some()
    }

    /// Whether a channel of this process had something to do within a time.
    pub(crate) fn is_channel_busy(&self, channel: ChannelId, within: Duration) -> bool {
        let letter_box = lock(&self.0.boxes).get(&channel).cloned();
        letter_box.is_some_and(|letter_box| is_recent(&letter_box.worked_at, within))
    }

    pub(crate) fn open(&self, channel: ChannelId) -> Arc<LetterBox> {
        let letter_box = Arc::new(LetterBox::new());
        lock(&self.0.boxes).insert(channel, letter_box.clone());
        letter_box
    }

    pub(crate) fn close(&self, channel: ChannelId) {
        lock(&self.0.boxes).remove(&channel);
    }

    /// The letter boxes of all lanes of this process.
    pub(crate) fn boxes(&self) -> Vec<(ChannelId, Arc<LetterBox>)> {
        lock(&self.0.boxes).iter().map(|(channel, letter_box)| (*channel, letter_box.clone())).collect()
    }

    /// Hints about channels that are not of this process, for the one who sends them on.
    pub(crate) fn foreign(&self) -> mpsc::Receiver<DueHint> {
        let (sender, receiver) = mpsc::channel(FOREIGN_MAX);
        // A second engine of the same process hears nothing, and is not there outside of mistakes.
        drop(self.0.foreign.set(sender));
        receiver
    }

    /// There is something to do.
    pub(crate) fn note_work(&self) {
        let before = lock(&self.0.worked_at).replace(Instant::now());
        if before.is_none_or(|at| at.elapsed() >= STIRRED) {
            self.0.stirred.notify_one();
        }
    }

    /// Waits until there is something to do after a pause.
    pub(crate) async fn stirred(&self) {
        self.0.stirred.notified().await;
    }

    /// Whether there was something to do within a time.
    pub(crate) fn is_busy(&self, within: Duration) -> bool {
        is_recent(&self.0.worked_at, within)
    }
}

fn is_recent(at: &Mutex<Option<Instant>>, within: Duration) -> bool {
    lock(at).is_some_and(|at| at.elapsed() < within)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const CHANNEL: ChannelId = ChannelId(Uuid::nil());

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    fn due(from: i64, at: i64) -> Due {
        Due { from: second(from), at: second(at) }
    }

    #[test]
    fn of_two_things_due_each_instant_is_the_earlier_one() {
        // A row whose former claim lapses later, and one that falls due between.
        assert_eq!(due(10, 30).and(due(20, 20)), due(10, 20));
        assert_eq!(due(20, 20).and(due(10, 30)), due(10, 20));
    }

    #[test]
    fn what_is_told_gathers_until_it_is_taken() {
        let wake = Wake::default();
        let letters = wake.open(CHANNEL);
        assert!(wake.tell(CHANNEL, Hints::due(Lane::Normal, due(10, 30))));
        assert!(wake.tell(CHANNEL, Hints::due(Lane::Normal, due(20, 20))));
        assert!(wake.tell(CHANNEL, Hints::due(Lane::Bulk, due(5, 5))));
        assert!(wake.tell(CHANNEL, Hints { expired: true, ..Hints::default() }));
        let mut expected = Hints { expired: true, ..Hints::due(Lane::Normal, due(10, 20)) };
        expected.due[Lane::Bulk.index()] = Some(due(5, 5));
        assert_eq!(letters.take(), expected);
        assert_eq!(letters.take(), Hints::default());
    }

    #[test]
    fn what_no_lane_of_this_process_takes_goes_to_others() {
        let wake = Wake::default();
        let mut foreign = wake.foreign();
        let letters = wake.open(CHANNEL);
        wake.due(CHANNEL, Lane::Normal, second(1));
        assert!(foreign.try_recv().is_err());
        assert_eq!(letters.take(), Hints::due(Lane::Normal, due(1, 1)));
        wake.close(CHANNEL);
        wake.due(CHANNEL, Lane::Normal, second(2));
        let hint = DueHint { channel: CHANNEL, lane: Lane::Normal, due_at: second(2) };
        assert_eq!(foreign.try_recv().expect("a hint"), hint);
    }
}
