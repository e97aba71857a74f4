//! The client's own ledger: what it is about to hand in, on disk before the first byte goes out, and every answer.
//!
//! One thread writes and syncs; whoever waits for a line is told when it is on disk. What waits meanwhile shares the next
//! sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Lines that may wait to be written; past it the client waits, too.
const WAITING_MAX: usize = 10_000;

/// One line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Line {
    /// A message is about to be handed in for the first time.
    Offered {
        key: String,
        at: i64,
        /// SHA-256 of its request, hexadecimal.
        body_hash: String,
        parts: usize,
    },
    /// The gateway answered that it has a message.
    Accepted {
        key: String,
        at: i64,
        /// The id it named.
        message_id: String,
    },
    /// The gateway answered that it does not take a message.
    Refused { key: String, at: i64, status: u16, text: String },
    /// No answer, or one that leaves it open: it is handed in again.
    Unclear {
        key: String,
        at: i64,
        why: String,
        /// From the request on, microseconds.
        took: i64,
    },
    /// The gateway answered that it has surely not stored a message: it is handed in again.
    Denied {
        key: String,
        at: i64,
        text: String,
        /// From the request on, microseconds.
        took: i64,
    },
    /// It was asked to cancel a message, and answered so.
    Cancel { key: String, at: i64, status: u16 },
    /// It was not handed in again after that: the time for it was over.
    GivenUp { key: String, at: i64 },
}

impl Line {
    /// When it was answered that a message is accepted, if it says that.
    pub(crate) fn accepted_at(&self) -> Option<i64> {
        match self {
            Self::Accepted { at, .. } => Some(*at),
            Self::Offered { .. }
            | Self::Refused { .. }
            | Self::Unclear { .. }
            | Self::Denied { .. }
            | Self::Cancel { .. }
            | Self::GivenUp { .. } => None,
        }
    }
}

type Entry = (Vec<Line>, Option<oneshot::Sender<()>>);

/// An open ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(SyncSender<Entry>);

impl Ledger {
    /// Begins a ledger in a file that is not there yet; the thread ends with the last handle, and says what went wrong.
    pub(crate) fn begin(path: &Path) -> Result<(Self, JoinHandle<Result<(), String>>), String> {
        let file = File::options().append(true).create_new(true).open(path).map_err(|error| error.to_string())?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || write(file, &receiver));
        Ok((Self(sender), thread.map_err(|error| error.to_string())?))
    }

    /// Writes lines; returns when they are on disk.
    pub(crate) async fn keep(&self, lines: Vec<Line>) -> Result<(), String> {
        let (told, kept) = oneshot::channel();
        self.0.try_send((lines, Some(told))).map_err(|_| "the ledger does not keep up")?;
        kept.await.map_err(|_| "the ledger cannot be written".to_owned())
    }

    /// Writes lines some time soon.
    pub(crate) fn note(&self, lines: Vec<Line>) -> Result<(), String> {
        self.0.try_send((lines, None)).map_err(|_| "the ledger does not keep up".to_owned())
    }
}

fn write(mut file: File, receiver: &Receiver<Entry>) -> Result<(), String> {
    while let Ok(first) = receiver.recv() {
        let mut waiting = Vec::new();
        let mut bytes = Vec::new();
        for (lines, told) in std::iter::once(first).chain(receiver.try_iter().take(WAITING_MAX)) {
            for line in lines {
                serde_json::to_writer(&mut bytes, &line).map_err(|error| error.to_string())?;
                bytes.push(b'\n');
            }
            waiting.extend(told);
        }
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(|error| error.to_string())?;
        for told in waiting {
            // Who asked may have gone.
            let _gone = told.send(());
        }
    }
    Ok(())
}

/// Reads a ledger back.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_in_the_file_and_reads_back() {
        let path = std::env::temp_dir().join(format!("tuma-ledger-{}.jsonl", std::process::id()));
        drop(std::fs::remove_file(&path));
        let (ledger, thread) = Ledger::begin(&path).expect("a ledger");
        let offered = Line::Offered { key: "k-1".to_owned(), at: 1, body_hash: "00".to_owned(), parts: 1 };
        ledger.keep(vec![offered.clone()]).await.expect("kept");
        assert_eq!(read(&path).expect("lines"), std::slice::from_ref(&offered));
        let refused = Line::Refused { key: "k-1".to_owned(), at: 2, status: 422, text: "no".to_owned() };
        ledger.note(vec![refused.clone()]).expect("noted");
        drop(ledger);
        thread.join().expect("no panic").expect("written");
        assert_eq!(read(&path).expect("lines"), [offered, refused]);
        assert!(Ledger::begin(&path).is_err(), "a ledger is never written over");
        std::fs::remove_file(path).expect("removed");
    }
}
