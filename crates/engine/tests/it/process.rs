//! A process of its own, which can die in the middle of everything.

use std::time::Duration;

use engine::Settings;
use tokio::runtime::Runtime;

use crate::rig::{Node, Rig, fast};

/// A node that can be killed: on a runtime of its own.
pub(crate) struct Process {
    pub(crate) node: Node,
    runtime: Runtime,
}

impl Process {
    pub(crate) async fn start(rig: &Rig, settings: Settings) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let (database, provider) = (rig.database.url.clone(), rig.sandbox.url());
        let starting = runtime.spawn(async move { Node::start(&database, &provider, settings).await });
        Self { node: starting.await.expect("it starts"), runtime }
    }

    /// Ends it in the middle of everything: tasks vanish, connections drop.
    pub(crate) fn kill(self) {
        std::mem::forget(self.node.running);
        self.runtime.shutdown_background();
    }
}

/// Settings whose leases outlast the test, so that only presence tells that an owner is gone.
pub(crate) fn long_leases() -> Settings {
    let second = Duration::from_secs(1);
    Settings { lease: Duration::from_secs(600), call_timeout: second, claim_fresh: second, ..fast() }
}
