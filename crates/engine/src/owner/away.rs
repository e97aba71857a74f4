//! Leaving all channels to others while this replica does not know what time it is.

use domain::id::ChannelId;
use domain::provider::Provider;
use tokio::time::Instant;

use super::Owner;

impl<P: Provider> Owner<P> {
    /// The database's clock is not where it was expected. If it was set, nobody sends; if this process alone stood still,
    /// others know better: so its lanes end, and its channels are given up as they do.
    pub(super) fn leave_all(&mut self) {
        self.shared.licence.set(Instant::now());
        let channels: Vec<ChannelId> = self.lanes.keys().copied().collect();
        for channel in channels {
            tracing::warn!(%channel, "the channel is left to others");
            self.leaving.insert(channel);
            self.end_lane(channel);
        }
        self.shared.metrics.channels_owned.set(0);
    }
}
