//! Reads rows, past the proxy and past tuma.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio_postgres::{Client, NoTls, Row};

use super::{Attempt, Facts, Message, Waiting};
use crate::chaos::clock;
use crate::chaos::scenario::rest;

/// A server may repeat its log for so long.
const RECOVERY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

const MESSAGES: &str =
    "SELECT m.message_id::text, m.workspace_id::text || '/' || k.message_key, m.status, m.failure_code, m.parts,
    (extract(epoch FROM m.scheduled_for) * 1000000)::bigint, (extract(epoch FROM m.expires_at) * 1000000)::bigint,
    (extract(epoch FROM m.created_at) * 1000000)::bigint, (extract(epoch FROM m.updated_at) * 1000000)::bigint,
    (extract(epoch FROM pg_xact_commit_timestamp(k.xmin)) * 1000000)::bigint
FROM messages m LEFT JOIN message_keys k ON k.workspace_id = m.workspace_id AND k.message_id = m.message_id";

const WAITING: &str = "SELECT o.message_id::text, (extract(epoch FROM o.due_at) * 1000000)::bigint,
    (extract(epoch FROM o.claimed_until) * 1000000)::bigint, (extract(epoch FROM g.until) * 1000000)::bigint
FROM outbox o LEFT JOIN channel_gates g ON g.workspace_id = o.workspace_id AND g.channel_id = o.channel_id";

const ATTEMPTS: &str = "SELECT message_id::text, claim, part, (extract(epoch FROM started_at) * 1000000)::bigint,
    (extract(epoch FROM finished_at) * 1000000)::bigint, outcome FROM attempts";

const ENDED: &str = "SELECT message_id::text, status FROM messages WHERE status <> 'waiting'";

const OPEN: &str = "SELECT count(*) FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM channel_gates g
    WHERE g.workspace_id = o.workspace_id AND g.channel_id = o.channel_id
    AND g.until > clock_timestamp() + interval '65 seconds')";

const CLAIMED: &str = "SELECT message_id::text FROM outbox WHERE claimed_until > clock_timestamp()";

const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'tuma' AND backend_type = 'client backend'";

const BACKEND: &str = "SELECT pid FROM pg_stat_activity
WHERE application_name = 'tuma' AND backend_type = 'client backend' ORDER BY pid";

const WEAR: &str = "UPDATE outbox o SET tries = $2 FROM message_keys k
WHERE k.message_key = $1 AND o.workspace_id = k.workspace_id AND o.message_id = k.message_id AND o.claimed_until IS NULL";

const DURABLE: &str = "SELECT count(*) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'track_commit_timestamp')
    AND setting = 'on'";

const NOTE_COMMITS: &str = "ALTER SYSTEM SET track_commit_timestamp = on";

/// What of a part is stored that a verdict needs.
#[derive(Deserialize)]
struct Part {
    id: String,
}

/// A connection of the judge's own.
pub(crate) struct Rows(Client);

impl Rows {
    /// Connects, as soon as the server has recovered from what was done to it; the connection ends with it.
    pub(crate) async fn connect(url: &str) -> Result<Self, String> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            match tokio_postgres::connect(url, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return Ok(Self(client));
                }
                Err(_) if Instant::now() < deadline => rest(LOOK).await,
                Err(error) => return Err(error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)),
            }
        }
    }

    /// Whether commits are on disk when they are answered, and it is noted when they were.
    pub(crate) async fn is_durable(&self) -> Result<bool, String> {
        Ok(self.count(DURABLE).await? == 4)
    }

    /// The server notes when it commits, once it is started again.
    pub(crate) async fn note_commits(&self) -> Result<(), String> {
        self.0.batch_execute(NOTE_COMMITS).await.map_err(|error| error.to_string())
    }

    /// Messages that have not ended and may go within the time that liveness allows: those behind a gate that stays
    /// closed for longer are left out.
    pub(crate) async fn open(&self) -> Result<i64, String> {
        self.count(OPEN).await
    }

    /// Messages that have ended, with their status.
    pub(crate) async fn ended(&self) -> Result<HashMap<String, String>, String> {
        let rows = self.rows(ENDED).await?;
        rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
    }

    /// Messages that are claimed.
    pub(crate) async fn claimed(&self) -> Result<HashSet<String>, String> {
        let rows = self.rows(CLAIMED).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    /// Ends the sessions of tuma; answers how many.
    pub(crate) async fn end_sessions(&self) -> Result<i64, String> {
        self.count(END_SESSIONS).await
    }

    /// A connection, if the server has one left.
    pub(crate) async fn one_more(url: &str) -> Option<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(Self(client))
    }

    /// Processes that serve tuma's connections.
    pub(crate) async fn backends(&self) -> Result<Vec<u32>, String> {
        let rows = self.rows(BACKEND).await?;
        rows.iter().map(|row| u32::try_from(get::<i32>(row, 0)?).map_err(|error| error.to_string())).collect()
    }

    /// Sets the tries of what waits under a key, as so many processes would have that it ended; answers whether it is there
    /// and nobody has it.
    pub(crate) async fn wear(&self, key: &str, tries: i16) -> Result<bool, String> {
        let worn = self.0.execute(WEAR, &[&key, &tries]).await.map_err(|error| error.to_string())?;
        Ok(worn > 0)
    }

    /// Reads all that a verdict needs into the facts.
    pub(crate) async fn read_into(&self, facts: &mut Facts) -> Result<(), String> {
        facts.judged_at = clock::now();
        for row in self.rows(WAITING).await? {
            let (message, due_at) = (get(&row, 0)?, get(&row, 1)?);
            let (claimed_until, gate_until) = (get(&row, 2)?, get(&row, 3)?);
            facts.waiting.push(Waiting { message, due_at, claimed_until, gate_until });
        }
        for row in self.rows(MESSAGES).await? {
            let parts: Vec<Part> = serde_json::from_str(get(&row, 4)?).map_err(|error| error.to_string())?;
            facts.messages.push(Message {
                id: get(&row, 0)?,
                key: get(&row, 1)?,
                status: get(&row, 2)?,
                failure_code: get(&row, 3)?,
                parts: parts.into_iter().map(|part| part.id).collect(),
                scheduled_for: get(&row, 5)?,
                expires_at: get(&row, 6)?,
                created_at: get(&row, 7)?,
                updated_at: get(&row, 8)?,
                stored_at: get(&row, 9)?,
            });
        }
        for row in self.rows(ATTEMPTS).await? {
            facts.attempts.push(Attempt {
                message: get(&row, 0)?,
                claim: get(&row, 1)?,
                part: usize::try_from(get::<i16>(&row, 2)?).map_err(|error| error.to_string())?,
                started_at: get(&row, 3)?,
                finished_at: get(&row, 4)?,
                outcome: get(&row, 5)?,
            });
        }
        Ok(())
    }

    async fn count(&self, sql: &str) -> Result<i64, String> {
        let row = self.0.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
        get(&row, 0)
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        self.0.query(sql, &[]).await.map_err(|error| error.to_string())
    }
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, String> {
    row.try_get(place).map_err(|error| error.to_string())
}
