//! Page tokens: where the next page starts, signed and bound to the list they came from.
//!
//! Opaque to clients; one of another workspace, list, order or filter is refused like an edited one. The key comes from
//! the store, so a token opens on every replica.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::WorkspaceId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const MAC_BYTES: usize = 16;

/// The list a token belongs to: a digest of all that makes it this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct List([u8; 32]);

impl List {
    /// A list of a kind, in one of its two orders, narrowed down by filters: names and canonical values, always in the
    /// same order.
    pub(crate) fn new(
        workspace: WorkspaceId,
        kind: &'static str,
        is_reversed: bool,
        filters: &[(&'static str, String)],
    ) -> Self {
        let mut digest = Sha256::new();
        digest.update(workspace.0.as_bytes());
        digest.update([u8::from(is_reversed)]);
        let texts = filters.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        for text in [kind].into_iter().chain(texts) {
            // With its length before it, no text runs into the next one.
            digest.update(text.len().to_be_bytes());
            digest.update(text.as_bytes());
        }
        Self(digest.finalize().into())
    }

    /// The token of the page after a position.
    pub(crate) fn token(&self, key: &[u8], position: &[u8]) -> String {
        let mut bytes = self.sign(key, position).finalize().into_bytes()[..MAC_BYTES].to_vec();
        bytes.extend_from_slice(position);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a token stands behind.
    pub(crate) fn position(&self, key: &[u8], token: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, position) = bytes.split_at_checked(MAC_BYTES)?;
        self.sign(key, position).verify_truncated_left(mac).ok()?;
        Some(position.to_vec())
    }

    /// The id that a token stands behind.
    pub(crate) fn id(&self, key: &[u8], token: &str) -> Option<Uuid> {
        Uuid::from_slice(&self.position(key, token)?).ok()
    }

    /// The text that a token stands behind.
    pub(crate) fn text(&self, key: &[u8], token: &str) -> Option<String> {
        String::from_utf8(self.position(key, token)?).ok()
    }

    fn sign(&self, key: &[u8], position: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(&self.0);
        mac.update(position);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(workspace: u128, kind: &'static str, is_reversed: bool, filters: &[(&'static str, &str)]) -> List {
        let filters: Vec<_> = filters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        List::new(WorkspaceId(Uuid::from_u128(workspace)), kind, is_reversed, &filters)
    }

    #[test]
    fn a_token_opens_only_the_list_it_came_from() {
        let own = list(1, "messages", false, &[("status", "sent"), ("tag", "vip")]);
        let last = Uuid::from_u128(3);
        let token = own.token(b"key", last.as_bytes());
        assert_eq!(own.id(b"key", &token), Some(last));
        assert_eq!(own.id(b"other", &token), None);
        for other in [
            list(9, "messages", false, &[("status", "sent"), ("tag", "vip")]),
            list(1, "channels", false, &[("status", "sent"), ("tag", "vip")]),
            list(1, "messages", true, &[("status", "sent"), ("tag", "vip")]),
            list(1, "messages", false, &[("status", "sent")]),
            list(1, "messages", false, &[("status", "sent"), ("tag", "vi"), ("p", "")]),
            list(1, "messages", false, &[("status", "senttag"), ("", "vip")]),
        ] {
            assert_eq!(other.id(b"key", &token), None, "{other:?}");
        }
        for bad in ["", "x", &token[1..], &token[..token.len() - 1], &format!("{token}A"), "🙂"] {
            assert_eq!(own.id(b"key", bad), None, "{bad}");
        }
    }

    #[test]
    fn a_position_may_be_a_text() {
        let own = list(1, "tags", false, &[]);
        assert_eq!(own.text(b"key", &own.token(b"key", b"vip")).as_deref(), Some("vip"));
        assert_eq!(own.id(b"key", &own.token(b"key", b"vip")), None);
    }
}
