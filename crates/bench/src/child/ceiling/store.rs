//! The ceiling's one table: messages are committed, claimed and completed in groups, each group with one statement.

use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::mpsc;
use tokio_postgres::{Client, NoTls};

use super::{HandIn, Job, WAITING_MAX, Way};

/// Rows of one statement.
const GROUP_MAX: usize = 2_000;
/// Rows of one claim.
const CLAIM_MAX: i64 = 1_000;
/// Jobs that wait, above which nothing is claimed.
const CLAIM_BELOW: usize = 500;
/// Between two looks while enough jobs wait.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// Between two claims when the table had nothing: where claiming is the only way, and where it takes up what is left.
const CLAIM_PAUSE: Duration = Duration::from_millis(5);
const LEFT_PAUSE: Duration = Duration::from_millis(20);
/// Fewer completions wait so long for others.
const COMPLETIONS_FEW: usize = 200;
const COMPLETIONS_PAUSE: Duration = Duration::from_millis(5);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS ceiling (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, is_claimed boolean NOT NULL, body text NOT NULL
);
CREATE INDEX IF NOT EXISTS ceiling_waiting ON ceiling (id) WHERE NOT is_claimed";
const COMMIT: &str = "INSERT INTO ceiling (is_claimed, body) SELECT $1, unnest($2::text[]) RETURNING id";
const CLAIM: &str = "UPDATE ceiling SET is_claimed = true
WHERE id IN (SELECT id FROM ceiling WHERE NOT is_claimed ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, body";
const COMPLETE: &str = "DELETE FROM ceiling WHERE id = ANY($1)";
/// Plans are made while the table is empty, and would read all of it later.
const BY_INDEX: &str = "SET enable_seqscan = off";

/// Makes the table.
pub(super) async fn prepare(database_url: &str) -> Result<(), String> {
    connect(database_url).await?.batch_execute(TABLE).await.map_err(text)
}

/// A connection of its own.
pub(super) async fn connect(database_url: &str) -> Result<Client, String> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.map_err(text)?;
    tokio::spawn(connection);
    client.batch_execute(BY_INDEX).await.map_err(text)?;
    Ok(client)
}

/// Commits what has come since the last commit, answers, and hands it over.
pub(super) async fn commit(
    client: Client,
    mut hand_ins: mpsc::Receiver<HandIn>,
    jobs: Option<mpsc::Sender<Job>>,
) -> Result<(), String> {
    let statement = client.prepare(COMMIT).await.map_err(text)?;
    while let Some(group) = next_group(&mut hand_ins).await {
        let bodies = group.iter().flat_map(|hand_in| &hand_in.bodies);
        let bodies: Vec<&str> = bodies
            .map(|body| std::str::from_utf8(body))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        // With too many jobs in memory, the table keeps them.
        let jobs = jobs.as_ref().filter(|jobs| jobs.capacity() > WAITING_MAX / 2);
        let rows = client.query(&statement, &[&jobs.is_some(), &bodies]).await.map_err(text)?;
        let mut ids = rows.iter().map(|row| row.get(0));
        for hand_in in group {
            // Whoever asked may be gone.
            let _ = hand_in.committed.send(());
            for (body, id) in hand_in.bodies.into_iter().zip(ids.by_ref()) {
                if let Some(jobs) = jobs {
                    jobs.send(Job { id, body }).await.map_err(|_| "nobody sends")?;
                }
            }
        }
    }
    Ok(())
}

async fn next_group(hand_ins: &mut mpsc::Receiver<HandIn>) -> Option<Vec<HandIn>> {
    let first = hand_ins.recv().await?;
    let mut size = first.bodies.len();
    let mut group = vec![first];
    while size < GROUP_MAX {
        let Ok(next) = hand_ins.try_recv() else { break };
        size += next.bodies.len();
        group.push(next);
    }
    Some(group)
}

/// Claims what waits in the table.
pub(super) async fn claim(client: Client, jobs: mpsc::Sender<Job>, way: Way) -> Result<(), String> {
    let statement = client.prepare(CLAIM).await.map_err(text)?;
    let pause = if way == Way::Claim { CLAIM_PAUSE } else { LEFT_PAUSE };
    loop {
        if WAITING_MAX - jobs.capacity() > CLAIM_BELOW {
            tokio::time::sleep(FULL_PAUSE).await;
            continue;
        }
        let rows = client.query(&statement, &[&CLAIM_MAX]).await.map_err(text)?;
        if rows.is_empty() {
            tokio::time::sleep(pause).await;
        }
        for row in rows {
            let body = Bytes::copy_from_slice(row.get::<_, &str>(1).as_bytes());
            jobs.send(Job { id: row.get(0), body }).await.map_err(|_| "nobody sends")?;
        }
    }
}

/// Removes what has arrived.
pub(super) async fn complete(client: Client, mut finished: mpsc::Receiver<i64>) -> Result<(), String> {
    let statement = client.prepare(COMPLETE).await.map_err(text)?;
    let mut ids = Vec::with_capacity(GROUP_MAX);
    while finished.recv_many(&mut ids, GROUP_MAX).await > 0 {
        if ids.len() < COMPLETIONS_FEW {
            tokio::time::sleep(COMPLETIONS_PAUSE).await;
            ids.extend(std::iter::from_fn(|| finished.try_recv().ok()).take(GROUP_MAX));
        }
        ids.sort_unstable();
        client.execute(&statement, &[&ids]).await.map_err(text)?;
        ids.clear();
    }
    Ok(())
}

fn text(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
