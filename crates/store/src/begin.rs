//! Noting that calls begin, before their first byte: for channels that hold what may have been sent.
//!
//! Claims are taken up to a second's sends ahead. Where nothing may be repeated on a mere suspicion, a claim alone is no sign
//! that its call began; only this note is. A call begins when the answer says that its claim still stood.

use domain::id::{MessageId, WorkspaceId};
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;
use crate::outbox::Claimed;

/// A call that is about to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beginning {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The message.
    pub message: MessageId,
    /// The claim that it is made under.
    pub claim: i64,
}

impl Beginning {
    /// The call of a claimed message.
    #[must_use]
    pub fn of(claimed: &Claimed) -> Self {
        Self { workspace: claimed.workspace, message: claimed.id, claim: claimed.claim }
    }
}

const BEGIN: &str = "-- store.begin.begin
UPDATE outbox o SET begun = true
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS i (workspace_id, message_id, claim)
WHERE o.workspace_id = i.workspace_id AND o.message_id = i.message_id AND o.claim = i.claim AND o.claimed_until IS NOT NULL
RETURNING o.message_id, o.claim";

impl Store {
    /// Notes that calls begin; answers message and claim of those whose claims stand. The others must not begin.
    ///
    /// # Errors
    /// When the database cannot be used: then none may begin, though it may be noted that they did.
    pub async fn begin(&self, calls: &[Beginning]) -> Result<Vec<(MessageId, i64)>, Error> {
        let workspaces: Vec<Uuid> = calls.iter().map(|call| call.workspace.0).collect();
        let messages: Vec<Uuid> = calls.iter().map(|call| call.message.0).collect();
        let claims: Vec<i64> = calls.iter().map(|call| call.claim).collect();
        let rows = self.query(BEGIN, &[&workspaces, &messages, &claims]).await?;
        rows.iter().map(|row| Ok((MessageId(get(row, 0)?), get(row, 1)?))).collect()
    }
}
