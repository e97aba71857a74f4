//! Hints between replicas: something falls due on a channel that another one owns.
//!
//! They are sent after the commit they tell of, many at a time, never within it: a notification in an accepting
//! transaction would make all of them wait for each other. A hint that is lost costs the time until the owner's next look.

use domain::id::ChannelId;
use domain::message::Lane;
use jiff::Timestamp;
use uuid::Uuid;

use crate::client::Store;
use crate::error::Error;

/// Where replicas listen.
pub(crate) const TOPIC: &str = "tuma_due";
/// Hints in one notification, which may hold 8,000 bytes.
const HINTS_MAX: usize = 100;

/// Something of a lane falls due.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DueHint {
    /// The channel.
    pub channel: ChannelId,
    /// The lane.
    pub lane: Lane,
    /// The earliest due instant.
    pub due_at: Timestamp,
}

const SEND: &str = "-- store.notify.send_hints
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";

impl Store {
    /// Sends a word of this replica's own, which it hears if its connection is its own.
    pub(crate) async fn send_echo(&self, word: &str) -> Result<(), Error> {
        self.query(SEND, &[&TOPIC, &[word].as_slice()]).await.map(drop)
    }

    /// Tells all replicas that listen, this one too.
    ///
    /// # Errors
    /// When the database cannot be used: then owners find out by looking.
    pub async fn send_hints(&self, hints: &[DueHint]) -> Result<(), Error> {
        let payloads: Vec<String> = hints.chunks(HINTS_MAX).map(write).collect();
        self.query(SEND, &[&TOPIC, &payloads]).await.map(drop)
    }
}

fn write(hints: &[DueHint]) -> String {
    let hint =
        |hint: &DueHint| format!("{} {} {}", hint.channel.0.simple(), hint.lane.number(), hint.due_at.as_microsecond());
    hints.iter().map(hint).collect::<Vec<_>>().join(",")
}

/// The hints of a notification; what another version wrote and cannot be read is left out.
pub(crate) fn read(payload: &str) -> Vec<DueHint> {
    let hint = |text: &str| {
        let mut words = text.split(' ');
        let channel = ChannelId(Uuid::try_parse(words.next()?).ok()?);
        let lane = Lane::from_number(words.next()?.parse().ok()?)?;
        let due_at = Timestamp::from_microsecond(words.next()?.parse().ok()?).ok()?;
        Some(DueHint { channel, lane, due_at })
    };
    payload.split(',').filter_map(hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_as_they_were_written_and_others_left_out() {
        let due_at = Timestamp::from_microsecond(1_795_680_000_123_456).expect("an instant");
        let hint = |number| DueHint { channel: ChannelId(Uuid::from_u128(number)), lane: Lane::Urgent, due_at };
        let hints: Vec<DueHint> = (0..HINTS_MAX).map(|number| hint(number as u128)).collect();
        let text = write(&hints);
        assert!(text.len() < 8000, "{}", text.len());
        assert_eq!(read(&text), hints);
        assert_eq!(read(&format!("nonsense,{},a b c,,1 2 3", write(&hints[..1]))), hints[..1]);
    }
}
