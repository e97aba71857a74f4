//! Pauses of an owned channel, as they were when its lane began.
//!
//! A pause that is made or ended gives the channel a new revision, and with it a new lane. So all that can happen to those
//! known here is that their time comes.

use std::sync::Arc;

use domain::id::ChannelId;
use domain::pause::{self, Pause, PauseScope};
use jiff::Timestamp;
use prometheus::IntGauge;
use store::owned::OwnedChannel;

/// Pauses that may hold messages of a channel.
#[derive(Debug)]
pub(crate) struct Pauses {
    channel: ChannelId,
    /// Also those of other channels.
    of_workspace: Arc<[Pause]>,
    /// When the last one is over that holds all messages of the channel.
    all_until: Option<Timestamp>,
    paused: IntGauge,
    is_counted: bool,
}

impl Pauses {
    /// The pauses of a channel; a gauge counts the channels that are paused as a whole.
    pub(crate) fn new(owned: &OwnedChannel, paused: IntGauge) -> Self {
        let (channel, of_workspace) = (owned.channel.id, owned.pauses.clone());
        let of_tag = |pause: &&Pause| matches!(pause.scope, PauseScope::Tag(_));
        let all = of_workspace.iter().filter(|pause| !of_tag(pause) && pause.covers(channel, &[""; 0]));
        let all_until = all.map(Pause::over_at).max();
        Self { channel, of_workspace, all_until, paused, is_counted: false }
    }

    /// Until when nothing of the channel is sent, if it is paused; counts it while it is.
    pub(crate) fn holds_all_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let until = self.all_until.filter(|until| *until > now);
        if until.is_some() != self.is_counted {
            self.is_counted = until.is_some();
            self.paused.add(if self.is_counted { 1 } else { -1 });
        }
        until
    }

    /// Until when the pauses of these tags hold a message, if they do.
    pub(crate) fn of_tags(&self, tags: &[String], at: Timestamp) -> Option<Timestamp> {
        let of_tag = self.of_workspace.iter().filter(|pause| matches!(pause.scope, PauseScope::Tag(_)));
        pause::longest(of_tag.filter(|pause| pause.covers(self.channel, tags)), at).map(Pause::over_at)
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        if self.is_counted {
            self.paused.dec();
        }
    }
}
