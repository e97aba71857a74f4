//! The storing part of accepting: messages that are ready go through the writer, as handlers hand them in.

use api::steps::{Ground, walk};
use serde_json::Value;
use store::Store;
use store::accept::NewMessage;
use store::writer::AcceptWriter;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Answer, Counter, text_body};
use crate::usage::Usage;

/// Callers of the writer that wait at the same time, as many as the load's requests in flight.
pub(super) const MANY: usize = 32;
/// Messages of a run.
pub const MESSAGES: usize = 3_200;

/// Answers each line with a run.
pub(super) fn worker(store: Store, ground: Ground, callers: usize, counter: Counter) -> Answer {
    let writer = AcceptWriter::start(&store);
    Box::new(move |runtime, _| run(runtime, &store, &writer, &ground, callers, counter))
}

fn run(
    runtime: &Runtime,
    store: &Store,
    writer: &AcceptWriter,
    ground: &Ground,
    callers: usize,
    counter: Counter,
) -> Result<Value, String> {
    let mut shares: Vec<Vec<NewMessage>> = Vec::with_capacity(callers);
    for _ in 0..callers {
        let ready = |number| walk(ground, text_body(number).as_bytes(), store.now(), &mut |_| {});
        let share = (0..MESSAGES / callers).map(|number| ready(number).map(|(message, _)| message));
        shares.push(share.collect::<Result<_, _>>()?);
    }
    let before = Usage::read(counter())?;
    let writer = writer.clone();
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        for share in shares {
            tasks.spawn(store_all(writer.clone(), share));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok::<(), String>(())
    })?;
    serde_json::to_value(Usage::read(counter())? - before).map_err(|error| error.to_string())
}

async fn store_all(writer: AcceptWriter, messages: Vec<NewMessage>) -> Result<(), String> {
    for message in messages {
        writer.accept(vec![message]).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
