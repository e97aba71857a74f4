//! The one place where tests wait for something that gives no signal.
//!
//! tidy: sleeps because rows of a database and entries of a ledger can only be looked at again.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A machine under load is slow; anything beyond is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds; fails when it does not hold in time.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// The same with a patience of its own.
pub(crate) async fn until_within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
