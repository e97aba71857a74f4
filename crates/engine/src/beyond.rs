//! Hints to other replicas: what was accepted here for channels that they own.
//!
//! Sent in groups, after the commits they tell of. A replica that knows of no other tells its own owner instead: the channel
//! may be new.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::Store;
use store::notify::DueHint;
use tokio::sync::{Notify, mpsc};

/// What comes within this time goes together.
const GATHER: Duration = Duration::from_millis(5);
/// Hints in one statement.
const HINTS_MAX: usize = 1000;

/// What is known of other replicas.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Whether there are any.
    pub(crate) are_there: AtomicBool,
    /// Wakes the owner of this replica.
    pub(crate) nudge: Notify,
}

/// Sends hints on as long as there may be any.
pub(crate) async fn send_on(store: Store, others: Arc<Others>, mut hints: mpsc::Receiver<DueHint>) {
    let mut group = Vec::new();
    while hints.recv_many(&mut group, HINTS_MAX).await > 0 {
        tokio::time::sleep(GATHER).await;
        while group.len() < HINTS_MAX {
            let Ok(next) = hints.try_recv() else { break };
            group.push(next);
        }
        let group = earliest(group.drain(..));
        if !others.are_there.load(Ordering::Relaxed) {
            others.nudge.notify_one();
        } else if let Err(error) = store.send_hints(&group).await {
            tracing::debug!(%error, hints = group.len(), "other replicas cannot be told");
        }
    }
}

/// One hint a lane.
fn earliest(hints: impl Iterator<Item = DueHint>) -> Vec<DueHint> {
    let mut lanes: HashMap<_, DueHint> = HashMap::new();
    for hint in hints {
        let known = lanes.entry((hint.channel, hint.lane)).or_insert(hint);
        known.due_at = known.due_at.min(hint.due_at);
    }
    lanes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use domain::id::ChannelId;
    use domain::message::Lane;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn hint(channel: u128, lane: Lane, second: i64) -> DueHint {
        let due_at = Timestamp::from_second(second).expect("an instant");
        DueHint { channel: ChannelId(Uuid::from_u128(channel)), lane, due_at }
    }

    #[test]
    fn of_many_hints_the_earliest_of_each_lane_is_sent() {
        let all = [
            hint(1, Lane::Normal, 30),
            hint(2, Lane::Normal, 20),
            hint(1, Lane::Normal, 10),
            hint(1, Lane::Urgent, 40),
            hint(1, Lane::Normal, 50),
        ];
        let mut sent = earliest(all.into_iter());
        sent.sort_unstable_by_key(|hint| hint.due_at);
        assert_eq!(sent, [hint(1, Lane::Normal, 10), hint(2, Lane::Normal, 20), hint(1, Lane::Urgent, 40)]);
    }
}
