//! The cheapest thing that can stand for Lipachat: takes every call, answers success, and notes number and arrival.
//!
//! One thread of its own. The sandbox keeps a ledger of all that it was told and reads every body, which would be
//! measured as well.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::message::{NUMBER_DIGITS, NUMBER_PLACE, number_in, write_digits};
use crate::wire::Connection;

/// Between two looks whether all has arrived.
const LOOK: Duration = Duration::from_millis(2);
/// So long without a new arrival, and nothing more will come: longer than a claim of a dead replica lasts.
const PATIENCE: Duration = Duration::from_secs(45);

/// A numbered call that came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Noted {
    arrivals: Mutex<Vec<Arrival>>,
    count: AtomicUsize,
}

/// The sink; ends when dropped.
pub(crate) struct Sink {
    address: SocketAddr,
    noted: Arc<Noted>,
    _open: oneshot::Sender<()>,
}

impl Sink {
    pub(crate) async fn start() -> Result<Self, String> {
        let (address, addressed) = oneshot::channel();
        let (open, closed) = oneshot::channel::<()>();
        let noted = Arc::new(Noted::default());
        let notes = noted.clone();
        std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let served = runtime.map_err(|error| error.to_string()).map(|runtime| {
                    runtime.block_on(async {
                        tokio::select! { why = listen(notes, address) => drop(why), _ = closed => {} }
                    });
                });
                drop(served);
            })
            .map_err(|error| error.to_string())?;
        let address = addressed.await.map_err(|_| "the sink does not listen")?;
        Ok(Self { address, noted, _open: open })
    }

    /// Its address as the provider's.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Arrivals since the last time they were taken.
    pub(crate) fn count(&self) -> usize {
        self.noted.count.load(Ordering::Relaxed)
    }

    /// Takes what has arrived, in order.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        let arrivals = std::mem::take(&mut *self.noted.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        self.noted.count.fetch_sub(arrivals.len(), Ordering::Relaxed);
        arrivals
    }

    /// Waits for so many arrivals.
    pub(crate) async fn wait_for(&self, count: usize) -> Result<(), String> {
        let (mut last, mut since) = (0, Instant::now());
        while last < count {
            tokio::time::sleep(LOOK).await;
            let now = self.count();
            if now > last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Err(format!("only {now} of {count} messages arrived"));
            }
        }
        Ok(())
    }
}

async fn listen(noted: Arc<Noted>, address: oneshot::Sender<SocketAddr>) -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
    let local = listener.local_addr().map_err(|error| error.to_string())?;
    address.send(local).map_err(|_| "nobody waits for the sink")?;
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let noted = noted.clone();
        tokio::spawn(async move { serve(Connection::of(stream)?, &noted).await });
    }
}

async fn serve(mut connection: Connection, noted: &Noted) -> Result<(), String> {
    let mut answer = Answer::new();
    while let Some(frame) = connection.read().await? {
        let at = Instant::now();
        let number = number_in(connection.body(&frame));
        connection.forget(&frame);
        if let Some(number) = number {
            noted.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { number, at });
            noted.count.fetch_add(1, Ordering::Relaxed);
        }
        connection.write(answer.numbered(number.unwrap_or_default())).await?;
    }
    Ok(())
}

/// An answer with places for the number, as bytes that are patched.
struct Answer {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Answer {
    fn new() -> Self {
        let body = format!(
            r#"{{"status":"success","data":{{"messageId":"bench-{NUMBER_PLACE}","waId":"wamid.{NUMBER_PLACE}"}}}}"#
        );
        let length = body.len();
        let text =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        let places = text.match_indices(NUMBER_PLACE).map(|(at, _)| at).collect();
        Self { bytes: text.into_bytes(), places }
    }

    fn numbered(&mut self, number: u32) -> &[u8] {
        for at in &self.places {
            write_digits(&mut self.bytes[*at..*at + NUMBER_DIGITS], number as usize);
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_its_number_twice() {
        let mut answer = Answer::new();
        answer.numbered(987_654_321);
        let text = String::from_utf8(answer.numbered(42).to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        assert_eq!(body, r#"{"status":"success","data":{"messageId":"bench-000000042","waId":"wamid.000000042"}}"#);
    }
}
