//! The journal: every request and every end of one, a line of JSON each, in a file that outlives the process.
//!
//! A line is with the system before the answer leaves, so killing the sandbox loses none; a failing machine may. The file
//! is only ever added to. A sandbox that is started on the journal of an earlier one knows what that one delivered, as
//! a provider would.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::known::First;
use crate::ledger::Outcome;

/// One line. Its instant `at` is in microseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Line<'a> {
    /// A sandbox began to use the file; what follows counts from its start.
    Started { at: i64 },
    /// A request was read whole, and this is what becomes of it.
    Arrived {
        seq: u64,
        at: i64,
        /// Since the start, on a clock that never jumps.
        micros: u64,
        /// Number of the connection since the start.
        connection: u64,
        path: &'a str,
        message_id: Option<&'a str>,
        from: Option<&'a str>,
        to: Option<&'a str>,
        /// SHA-256 of the body, hexadecimal.
        body_hash: String,
        body_bytes: usize,
        outcome: Outcome,
        fault: Option<&'static str>,
        accepted: bool,
        answer_status: Option<u16>,
        /// What was delivered, and the id it was answered with.
        delivered: Option<Delivered<'a>>,
    },
    /// The answer to a request was written, or its connection has ended.
    Ended { seq: u64, at: i64, micros: u64 },
    /// Everything was forgotten on demand.
    Reset { at: i64 },
}

/// The result of a delivery, as `known` keeps it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivered<'a> {
    pub(crate) message_id: &'a str,
    pub(crate) wa_id: &'a str,
}

/// What a later start wants of a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    event: String,
    at: i64,
    message_id: Option<String>,
    delivered: Option<ReadDelivered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadDelivered {
    message_id: String,
    wa_id: String,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens a journal, or begins it; answers what earlier sandboxes delivered, oldest first.
    pub(crate) fn open(path: &Path, now: Timestamp) -> io::Result<(Self, Vec<(String, First)>)> {
        let file = File::options().read(true).append(true).create(true).open(path)?;
        let delivered = read_delivered(&file)?;
        let mut journal = Self { file };
        // A line that a kill has cut in two ends here, and does not take the next one along.
        if !ends_with_a_line(path)? {
            journal.file.write_all(b"\n")?;
        }
        journal.write(&Line::Started { at: now.as_microsecond() })?;
        Ok((journal, delivered))
    }

    /// Adds a line, in one piece.
    pub(crate) fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)
    }
}

/// SHA-256, hexadecimal.
pub(crate) fn hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_delivered(file: &File) -> io::Result<Vec<(String, First)>> {
    let mut delivered = Vec::new();
    for line in BufReader::new(file).lines() {
        // A line that was cut is no line.
        let Ok(read) = serde_json::from_str::<Read>(&line?) else { continue };
        if read.event == "reset" {
            delivered.clear();
        }
        if let (Some(id), Some(result)) = (read.message_id, read.delivered) {
            let (message_id, wa_id): (Arc<str>, Arc<str>) = (result.message_id.into(), result.wa_id.into());
            let at = Timestamp::from_microsecond(read.at).map_err(io::Error::other)?;
            delivered.push((id, First { message_id, wa_id, at }));
        }
    }
    Ok(delivered)
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    use std::io::{Read as _, Seek, SeekFrom};
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
