//! Access keys: a secret shown once, of which only the SHA-256 is kept.
//!
//! A slow hash would guard nothing here: the secret has 256 random bits. Form: `tuma_`, 64 hexadecimal digits, and 8
//! more of a CRC-32 over them, so that a scanner finds leaked ones and a mistyped one is refused without a query.

use domain::id::{AccessKeyId, WorkspaceId};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;

const PREFIX: &str = "tuma_";
const SECRET_HEX: usize = 64;
const CHECKSUM_HEX: usize = 8;

/// SHA-256 of an access key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyHash(pub [u8; 32]);

/// An access key without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// The workspace it opens.
    pub workspace: WorkspaceId,
    /// Name, for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Made at.
    pub created_at: Timestamp,
    /// No longer valid since.
    pub revoked_at: Option<Timestamp>,
}

/// Makes a new secret.
#[must_use]
pub fn new_secret() -> SecretString {
    let random: [u8; 32] = rand::random();
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let checksum = checksum(&digits);
    SecretString::from(format!("{PREFIX}{digits}{checksum}"))
}

/// The hash of a secret, if the text has the form of one.
#[must_use]
pub fn hash_of(text: &str) -> Option<KeyHash> {
    let rest = text.strip_prefix(PREFIX)?;
    let (digits, given) = rest.split_at_checked(SECRET_HEX)?;
    let legal = given.len() == CHECKSUM_HEX && checksum(digits) == given;
    legal.then(|| KeyHash(Sha256::digest(text.as_bytes()).into()))
}

fn checksum(digits: &str) -> String {
    format!("{:08x}", crc32fast::hash(digits.as_bytes()))
}

const CREATE: &str = "-- store.access_key.create
WITH made AS (
    INSERT INTO access_keys (workspace_id, access_key_id, name, key_hash, scopes)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING workspace_id, access_key_id, name, scopes, created_at, revoked_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $6, $7, access_key_id::text, name FROM made
)
SELECT workspace_id, access_key_id, name, scopes, created_at, revoked_at FROM made";

const REVOKE: &str = "-- store.access_key.revoke
WITH revoked AS (
    UPDATE access_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())
    WHERE workspace_id = $1 AND access_key_id = $2
    RETURNING workspace_id, access_key_id, name, scopes, created_at, revoked_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, access_key_id::text, name FROM revoked
)
SELECT workspace_id, access_key_id, name, scopes, created_at, revoked_at FROM revoked";

const FIND: &str = "-- store.access_key.find
SELECT workspace_id, access_key_id, name, scopes, created_at, revoked_at
FROM access_keys WHERE key_hash = $1 AND revoked_at IS NULL";

const LIST: &str = "-- store.access_key.list
SELECT workspace_id, access_key_id, name, scopes, created_at, revoked_at
FROM access_keys WHERE workspace_id = $1 AND access_key_id > $2 ORDER BY access_key_id LIMIT $3";

impl Store {
    /// Stores a new key.
    ///
    /// # Errors
    /// [`Error::Exists`] when the id is taken; [`Error::Refused`] when there is no such workspace.
    pub async fn create_access_key(
        &self,
        workspace: WorkspaceId,
        id: AccessKeyId,
        name: &str,
        secret: &SecretString,
        scopes: &[String],
        act: &Act<'_>,
    ) -> Result<AccessKey, Error> {
        let hash = hash_of(secret.expose_secret()).ok_or_else(|| Error::corrupt("not an access key"))?;
        let row =
            self.one(CREATE, &[&workspace.0, &id.0, &name, &hash.0.as_slice(), &scopes, &act.actor, &act.name]).await?;
        access_key(&row)
    }

    /// Revokes a key; again has no effect. `None` when there is no such key.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn revoke_access_key(
        &self,
        workspace: WorkspaceId,
        id: AccessKeyId,
        act: &Act<'_>,
    ) -> Result<Option<AccessKey>, Error> {
        self.maybe_one(REVOKE, &[&workspace.0, &id.0, &act.actor, &act.name])
            .await?
            .as_ref()
            .map(access_key)
            .transpose()
    }

    /// The valid key with this hash.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn find_access_key(&self, hash: KeyHash) -> Result<Option<AccessKey>, Error> {
        self.maybe_one(FIND, &[&hash.0.as_slice()]).await?.as_ref().map(access_key).transpose()
    }

    /// Keys of a workspace after an id, in order of id.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn access_keys(
        &self,
        workspace: WorkspaceId,
        after: AccessKeyId,
        limit: i64,
    ) -> Result<Vec<AccessKey>, Error> {
        self.query(LIST, &[&workspace.0, &after.0, &limit]).await?.iter().map(access_key).collect()
    }
}

fn access_key(row: &Row) -> Result<AccessKey, Error> {
    Ok(AccessKey {
        workspace: WorkspaceId(get(row, 0)?),
        id: AccessKeyId(get(row, 1)?),
        name: get(row, 2)?,
        scopes: get(row, 3)?,
        created_at: get(row, 4)?,
        revoked_at: get(row, 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_form_that_shows_mistakes() {
        let secret = new_secret();
        let text = secret.expose_secret();
        assert_eq!(text.len(), 5 + 64 + 8);
        assert!(hash_of(text).is_some());
        for position in 5..text.len() {
            let mut wrong: Vec<u8> = text.bytes().collect();
            wrong[position] = if wrong[position] == b'0' { b'1' } else { b'0' };
            assert!(hash_of(&String::from_utf8(wrong).expect("ASCII")).is_none(), "position {position}");
        }
        for bad in ["", "tuma_", "AccessKey", &text[1..], &text[..70], &format!("{text}0"), "tuma_é"] {
            assert!(hash_of(bad).is_none(), "{bad}");
        }
    }
}
