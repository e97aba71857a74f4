//! An engine: its parts, started together and stopped in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::id::ReplicaId;
use domain::provider::Provider;
use store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::beginner::Beginner;
use crate::beyond::{self, Others};
use crate::chores::Chores;
use crate::claimer::Claimer;
use crate::lane::Order;
use crate::licence::Licence;
use crate::metrics::Metrics;
use crate::overdue::Overdue;
use crate::owner::Owner;
use crate::settings::Settings;
use crate::settler::Settler;
use crate::shared::Shared;
use crate::wake::Wake;

/// Beyond the longest call, for settling what came last.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// What the engine needs.
#[derive(Debug)]
pub struct Engine<P> {
    /// The database.
    pub store: Store,
    /// The way out.
    pub provider: P,
    /// Times and bounds.
    pub settings: Settings,
    /// Metrics.
    pub metrics: Metrics,
    /// Where hints arrive.
    pub wake: Wake,
    /// This process.
    pub replica: ReplicaId,
}

/// Tells the owners of channels what was accepted by a process that has no engine of its own. Ends with the process.
pub fn tell_owners(store: Store, wake: &Wake) -> JoinHandle<()> {
    let others = Others::default();
    others.are_there.store(true, Ordering::Relaxed);
    tokio::spawn(beyond::send_on(store, Arc::new(others), wake.foreign()))
}

/// An engine at work.
#[derive(Debug)]
pub struct Running {
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
    /// Whatever they are at may be given up: it is done again.
    chores: JoinHandle<()>,
    overdue: JoinHandle<()>,
    patience: Duration,
}

impl Running {
    /// Stops claiming, lets calls under way end, settles them, gives up channels. Bounded by the longest call and a
    /// margin; what is left then falls due again by itself.
    pub async fn stop(mut self) {
        self.orders.send_replace(Order::Stop);
        self.chores.abort();
        self.overdue.abort();
        if tokio::time::timeout(self.patience, &mut self.task).await.is_err() {
            tracing::error!("the engine did not stop in time; open claims will lapse");
            self.task.abort();
        }
    }
}

impl<P: Provider> Engine<P> {
    /// Starts the engine's tasks.
    #[must_use]
    pub fn start(self) -> Running {
        let Self { store, provider, settings, metrics, wake, replica } = self;
        let (orders, ordered) = watch::channel(Order::Run);
        let others = Arc::new(Others::default());
        let chores = tokio::spawn(Chores::new(store.clone(), metrics.clone()).run(ordered.clone()));
        let overdue = tokio::spawn(Overdue::new(store.clone(), metrics.clone()).run(ordered.clone()));
        // Goes on when the engine stops: messages may be accepted for a little longer, and others send them.
        tokio::spawn(beyond::send_on(store.clone(), others.clone(), wake.foreign()));
        let (settler, settling) = Settler::start(store.clone(), replica, metrics.clone(), wake.clone());
        let shared = Arc::new(Shared {
            claimer: Claimer::start(&store, replica, settings.claim_lasting(), &wake),
            beginner: Beginner::start(store.clone()),
            store,
            provider: Arc::new(provider),
            settings,
            metrics,
            replica,
            calls: Arc::new(Semaphore::new(settings.calls_max)),
            settler,
            licence: Licence::none(),
        });
        let task = tokio::spawn(Owner::new(shared, wake, others).run(ordered, settling));
        Running { orders, task, chores, overdue, patience: settings.call_timeout + STOP_MARGIN }
    }
}
