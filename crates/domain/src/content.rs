//! What is said: the content of a message, independent of either dialect.
//!
//! A message becomes one or more parts at accept time; a part is frozen with its id, so that every repetition of the
//! call carries the same content under the same id. One file a kind.

mod text;

use serde::{Deserialize, Serialize};

use crate::id::PartId;

pub use text::Text;

/// What one call to the provider says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Content {
    /// Plain text.
    Text(Text),
}

/// One call to the provider: content under an id that never changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Goes out as the provider's `messageId` of the call.
    pub id: PartId,
    /// What the call says.
    pub content: Content,
}
