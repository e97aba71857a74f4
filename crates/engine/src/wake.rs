//! Hints to lanes: there may be something due. Lost or superfluous hints change nothing but a fraction of a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::id::ChannelId;
use domain::message::Lane;
use jiff::Timestamp;
use tokio::sync::Notify;

/// What a lane has been told since it last looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hints {
    /// Something of a lane falls due at this instant, or has; by the lane's index.
    pub(crate) due_at: [Option<Timestamp>; Lane::ALL.len()],
    /// The validity of something is over.
    pub(crate) expired: bool,
}

/// One lane's letter box.
#[derive(Debug, Default)]
pub(crate) struct LetterBox {
    hints: Mutex<Hints>,
    notify: Notify,
}

impl Hints {
    /// Something of a lane falls due at an instant.
    pub(crate) fn due(lane: Lane, at: Timestamp) -> Self {
        let mut hints = Self::default();
        hints.due_at[lane.index()] = Some(at);
        hints
    }
}

impl LetterBox {
    /// Takes what has been told.
    pub(crate) fn take(&self) -> Hints {
        std::mem::take(&mut *self.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something is told.
    pub(crate) async fn told(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn tell(&self, new: Hints) {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, new) in hints.due_at.iter_mut().zip(new.due_at) {
            *known = [*known, new].into_iter().flatten().min();
        }
        hints.expired |= new.expired;
        drop(hints);
        self.notify.notify_one();
    }
}

/// Reaches the lanes of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Mutex<HashMap<ChannelId, Arc<LetterBox>>>>);

impl Wake {
    /// Something of a channel's lane is due now. Nothing happens when this replica does not own the channel.
    pub fn due(&self, channel: ChannelId, lane: Lane) {
        self.tell(channel, Hints::due(lane, Timestamp::MIN));
    }

    pub(crate) fn tell(&self, channel: ChannelId, hints: Hints) {
        let letter_box = self.boxes().get(&channel).cloned();
        if let Some(letter_box) = letter_box {
            letter_box.tell(hints);
        }
    }

    pub(crate) fn open(&self, channel: ChannelId) -> Arc<LetterBox> {
        let letter_box = Arc::new(LetterBox::default());
        self.boxes().insert(channel, letter_box.clone());
        letter_box
    }

    pub(crate) fn close(&self, channel: ChannelId) {
        self.boxes().remove(&channel);
    }

    fn boxes(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelId, Arc<LetterBox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
