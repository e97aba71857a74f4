//! Page tokens: where the next page starts, signed and bound to the list they came from.
//!
//! Opaque to clients; one of another workspace, channel or order is refused like an edited one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::{ChannelId, MessageId, WorkspaceId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use store::message::Order;
use uuid::Uuid;

const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 16;

/// The list a token belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) workspace: WorkspaceId,
    pub(crate) channel: ChannelId,
    pub(crate) order: Order,
}

/// The token of the page after a message.
pub(crate) fn encode(key: &[u8], list: List, last: MessageId) -> String {
    let mut bytes = last.0.as_bytes().to_vec();
    bytes.extend_from_slice(&sign(key, list, last).finalize().into_bytes()[..MAC_BYTES]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The message that a token stands behind.
pub(crate) fn decode(key: &[u8], list: List, token: &str) -> Option<MessageId> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (id, mac) = bytes.split_at_checked(ID_BYTES)?;
    let id = MessageId(Uuid::from_slice(id).ok()?);
    (mac.len() == MAC_BYTES && sign(key, list, id).verify_truncated_left(mac).is_ok()).then_some(id)
}

fn sign(key: &[u8], list: List, id: MessageId) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(list.workspace.0.as_bytes());
    mac.update(list.channel.0.as_bytes());
    mac.update(match list.order {
        Order::NewestFirst => b"newest",
        Order::OldestFirst => b"oldest",
    });
    mac.update(id.0.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_the_list_it_came_from() {
        let list = List {
            workspace: WorkspaceId(Uuid::from_u128(1)),
            channel: ChannelId(Uuid::from_u128(2)),
            order: Order::NewestFirst,
        };
        let last = MessageId(Uuid::from_u128(3));
        let token = encode(b"key", list, last);
        assert_eq!(decode(b"key", list, &token), Some(last));
        assert_eq!(decode(b"other", list, &token), None);
        assert_eq!(decode(b"key", List { workspace: WorkspaceId(Uuid::from_u128(9)), ..list }, &token), None);
        assert_eq!(decode(b"key", List { order: Order::OldestFirst, ..list }, &token), None);
        for bad in ["", "x", &token[1..], &format!("{token}A"), "🙂"] {
            assert_eq!(decode(b"key", list, bad), None, "{bad}");
        }
    }
}
