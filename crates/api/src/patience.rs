//! How long a request that stores something may wait for the database: whoever sends it hears in time that it was not stored, or
//! that nobody knows.
//!
//! What is waited for no longer goes on by itself: what it reads is remembered for the next request, so that a database which
//! is merely slow is not asked the same again and again in vain. Reading the body does not count: how long that takes is up
//! to the client.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::errors::ApiError;

/// All waiting of one request; the answer is there within two seconds (failure model, F10, F15).
const WAITS: Duration = Duration::from_millis(1_900);

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Patience(Duration);

impl Patience {
    /// All of it.
    pub(crate) fn new() -> Self {
        Self(WAITS)
    }

    /// Waits for something, as long as there is patience.
    ///
    /// # Errors
    /// The one for being too late, else as what is waited for.
    pub(crate) async fn wait<T: 'static>(
        &mut self,
        too_late: ApiError,
        waiting: impl Future<Output = Result<T, ApiError>> + 'static,
    ) -> Result<T, ApiError> {
        let started = Instant::now();
        let task = actix_web::rt::spawn(waiting.in_current_span());
        let waited = tokio::time::timeout(self.0, task).await;
        self.0 = self.0.saturating_sub(started.elapsed());
        match waited {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                tracing::error!(%error, "a request broke down");
                Err(ApiError::Internal)
            }
            Err(_) => {
                tracing::warn!("refused: the database took too long");
                Err(too_late)
            }
        }
    }
}
