//! What a request may name by id: contacts of the workspace, and messages received in it.

use domain::id::{ContactId, MessageId, WorkspaceId};
use domain::phone::PhoneNumber;
use uuid::Uuid;

use crate::client::{Store, get};
use crate::error::Error;

const NUMBERS: &str = "-- store.contact.numbers
SELECT contact_id, identifier_value FROM contacts WHERE workspace_id = $1 AND contact_id = ANY ($2)";

const RECEIVED: &str = "-- store.contact.received
SELECT message_id FROM messages WHERE workspace_id = $1 AND message_id = ANY ($2) AND direction = 'incoming'";

impl Store {
    /// Numbers of contacts of a workspace; unknown ones are left out.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn contact_numbers(
        &self,
        workspace: WorkspaceId,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, PhoneNumber)>, Error> {
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Uuid> = contacts.iter().map(|id| id.0).collect();
        let rows = self.query(NUMBERS, &[&workspace.0, &asked]).await?;
        rows.iter().map(|row| Ok((ContactId(get(row, 0)?), PhoneNumber::from_stored(get(row, 1)?)))).collect()
    }

    /// Which of these messages were received in a workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn received(&self, workspace: WorkspaceId, messages: &[MessageId]) -> Result<Vec<MessageId>, Error> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<Uuid> = messages.iter().map(|id| id.0).collect();
        let rows = self.query(RECEIVED, &[&workspace.0, &asked]).await?;
        rows.iter().map(|row| get(row, 0).map(MessageId)).collect()
    }
}
