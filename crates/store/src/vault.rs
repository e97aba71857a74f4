//! Secrets at rest: AES-256-GCM under a master key, bound to the place where they are stored.
//!
//! Form: version (1 byte), key id (4 bytes, from the key's hash), nonce (12 bytes, random), ciphertext with tag.
//! Workspace, column and row are authenticated with it, so a ciphertext moved elsewhere does not open. A previous
//! key still opens what it sealed; new secrets are sealed under the current one.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::id::WorkspaceId;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;

/// Bytes of a master key.
pub const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

#[derive(Clone)]
struct MasterKey {
    id: [u8; KEY_ID_BYTES],
    cipher: Aes256Gcm,
}

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Vault {
    current: MasterKey,
    previous: Option<MasterKey>,
    cursor_key: [u8; KEY_BYTES],
    account_key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

/// Where a secret is stored.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Table and column.
    pub column: &'static str,
    /// The row.
    pub row: Uuid,
}

impl Vault {
    /// A vault that seals under `current` and also opens what `previous` sealed.
    #[must_use]
    pub fn new(current: &[u8; KEY_BYTES], previous: Option<&[u8; KEY_BYTES]>) -> Self {
        let derived = |purpose: &[u8]| Sha256::new().chain_update(purpose).chain_update(current).finalize().into();
        Self {
            current: MasterKey::new(current),
            previous: previous.map(MasterKey::new),
            cursor_key: derived(b"tuma cursor"),
            account_key: derived(b"tuma account"),
        }
    }

    /// The same for equal secrets, and telling nothing of them to who has no master key. Another master key makes others.
    #[must_use]
    pub fn account_id(&self, secret: &SecretString) -> Uuid {
        let secret = secret.expose_secret().as_bytes();
        let digest = Sha256::new().chain_update(self.account_key).chain_update(secret).finalize();
        let mut bytes = [0; size_of::<Uuid>()];
        bytes.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The key that signs page tokens, derived from the current master key.
    #[must_use]
    pub fn cursor_key(&self) -> &[u8; KEY_BYTES] {
        &self.cursor_key
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the cipher refuses, which it does only for texts of many gigabytes.
    pub fn seal(&self, secret: &SecretString, place: Place) -> Result<Vec<u8>, Error> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let bound = place.bytes();
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &bound };
        let sealed =
            self.current.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::corrupt("secret too long"))?;
        let mut out = Vec::with_capacity(HEAD_BYTES + sealed.len());
        out.push(VERSION);
        out.extend_from_slice(&self.current.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it was sealed under an unknown key, for another place, or was changed.
    pub fn open(&self, sealed: &[u8], place: Place) -> Result<SecretString, Error> {
        let (head, body) =
            sealed.split_at_checked(HEAD_BYTES).ok_or_else(|| Error::corrupt("sealed secret is too short"))?;
        if head[0] != VERSION {
            return Err(Error::corrupt("sealed secret has an unknown version"));
        }
        let key = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id == head[1..=KEY_ID_BYTES])
            .ok_or_else(|| Error::corrupt("secret was sealed under a key that is not configured"))?;
        let nonce: [u8; NONCE_BYTES] =
            head[1 + KEY_ID_BYTES..].try_into().map_err(|_| Error::corrupt("sealed secret is too short"))?;
        let opened = key
            .cipher
            .decrypt(&Nonce::from(nonce), Payload { msg: body, aad: &place.bytes() })
            .map_err(|_| Error::corrupt("sealed secret does not open in this place"))?;
        let text = String::from_utf8(opened).map_err(|_| Error::corrupt("sealed secret is not text"))?;
        Ok(SecretString::from(text))
    }
}

impl MasterKey {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, cipher: Aes256Gcm::new(key.into()) }
    }
}

impl Place {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.workspace.0.as_bytes().to_vec();
        bytes.extend_from_slice(self.row.as_bytes());
        bytes.extend_from_slice(self.column.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: u128) -> Place {
        Place { workspace: WorkspaceId(Uuid::from_u128(7)), column: "channels.provider_key", row: Uuid::from_u128(row) }
    }

    #[test]
    fn a_secret_opens_only_in_its_place_and_unchanged() {
        let vault = Vault::new(&[1; 32], None);
        let sealed = vault.seal(&SecretString::from("lipa-key"), place(1)).expect("sealed");
        assert_eq!(vault.open(&sealed, place(1)).expect("opens").expose_secret(), "lipa-key");
        assert!(vault.open(&sealed, place(2)).is_err());
        let elsewhere = Place { workspace: WorkspaceId(Uuid::from_u128(8)), ..place(1) };
        assert!(vault.open(&sealed, elsewhere).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.open(&changed, place(1)).is_err(), "bit {bit}");
        }
        assert!(vault.open(&sealed[..10], place(1)).is_err());
    }

    #[test]
    fn a_previous_key_still_opens_and_never_seals() {
        let old = Vault::new(&[1; 32], None);
        let both = Vault::new(&[2; 32], Some(&[1; 32]));
        let new = Vault::new(&[2; 32], None);
        let sealed = old.seal(&SecretString::from("k"), place(1)).expect("sealed");
        assert!(both.open(&sealed, place(1)).is_ok());
        assert!(new.open(&sealed, place(1)).is_err());
        let sealed = both.seal(&SecretString::from("k"), place(1)).expect("sealed");
        assert!(new.open(&sealed, place(1)).is_ok());
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time_and_never_shown() {
        let vault = Vault::new(&[1; 32], None);
        let secret = SecretString::from("k");
        assert_ne!(vault.seal(&secret, place(1)).expect("sealed"), vault.seal(&secret, place(1)).expect("sealed"));
        assert_eq!(format!("{vault:?}"), "Vault(redacted)");
    }
}
