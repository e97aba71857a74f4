//! The load: text messages over kept connections, a number of them in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench::child::{rest, text_body};
use reqwest::Client;
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::limits::client;

/// Who is sent to, and as whom.
pub(super) struct Load {
    http: Client,
    url: String,
    authorization: String,
}

impl Load {
    pub(super) fn new(address: &str, bed: &Bed) -> Result<Arc<Self>, String> {
        let url = format!("http://{address}{}", bed.tenant.messages_path());
        let authorization = format!("AccessKey {}", bed.tenant.access_key);
        Ok(Arc::new(Self { http: client()?, url, authorization }))
    }

    /// Sends requests one at a time with a pause before each.
    pub(super) async fn send_paced(self: &Arc<Self>, requests: usize, pause: Duration) -> Result<(), String> {
        for _ in 0..requests {
            rest(pause);
            self.send(1, 1).await?;
        }
        Ok(())
    }

    /// Sends so many requests, so many at a time; answers how long each took.
    pub(super) async fn send(self: &Arc<Self>, requests: usize, in_flight: usize) -> Result<Vec<Duration>, String> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..in_flight {
            tasks.spawn(Self::send_share(self.clone(), next.clone(), requests));
        }
        let mut all = Vec::with_capacity(requests);
        while let Some(share) = tasks.join_next().await {
            all.extend(share.map_err(|error| error.to_string())??);
        }
        Ok(all)
    }

    async fn send_share(self: Arc<Self>, next: Arc<AtomicUsize>, requests: usize) -> Result<Vec<Duration>, String> {
        let mut took = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return Ok(took);
            }
            let request = self.http.post(&self.url).header("authorization", &self.authorization);
            let request = request.header("content-type", "application/json").body(text_body(number));
            let started = Instant::now();
            let answer = request.send().await.map_err(|error| error.to_string())?;
            if answer.status() != 202 {
                return Err(format!("HTTP {}", answer.status()));
            }
            answer.bytes().await.map_err(|error| error.to_string())?;
            took.push(started.elapsed());
        }
    }
}
