//! What the lanes of a process share.

use std::sync::Arc;

use domain::id::ReplicaId;
use store::Store;
use tokio::sync::Semaphore;

use crate::beginner::Beginner;
use crate::claimer::Claimer;
use crate::licence::Licence;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::settler::Settler;

/// What lanes share.
#[derive(Debug)]
pub(crate) struct Shared<P> {
    pub(crate) store: Store,
    pub(crate) provider: Arc<P>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) replica: ReplicaId,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) claimer: Claimer,
    pub(crate) beginner: Beginner,
    pub(crate) settler: Settler,
    pub(crate) licence: Licence,
}
