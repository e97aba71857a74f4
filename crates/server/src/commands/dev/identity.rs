//! What `tuma dev` makes on its first start and finds again on the next: ids and secrets, in one file.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::id::{AccessKeyId, ChannelId, WorkspaceId};
use domain::limits::MESSAGES_PER_SECOND_DEFAULT;
use domain::message::MessageType;
use domain::phone::PhoneNumber;
use domain::spacing::RecipientRate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::Store;
use store::access_key::{hash_of, new_secret};
use store::audit::Act;
use store::channel::{ChannelSettings, ChannelStatus};
use store::vault::Vault;
use uuid::Uuid;

/// Lipachat's shared sandbox number (Lipachat docs, "Sending Messages").
pub(super) const NUMBER: &str = "+254110090747";
const FILE: &str = "dev.json";
const ACT: Act<'static> = Act { actor: "tuma dev", name: "dev.ensure" };

/// Ids and secrets of a development installation.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) workspace_id: Uuid,
    pub(super) channel_id: Uuid,
    connector_id: Uuid,
    access_key_id: Uuid,
    pub(super) access_key: String,
    pub(super) admin_token: String,
    pub(super) secret_key: String,
    pub(super) provider_key: String,
}

impl Identity {
    /// Reads the file of a folder, or makes it.
    pub(super) fn load_or_make(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| said(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::make();
                made.write(&path).map_err(|error| said(&error))?;
                Ok(made)
            }
            Err(error) => Err(said(&error)),
        }
    }

    fn make() -> Self {
        let random = |bytes: usize| (0..bytes).map(|_| format!("{:02x}", rand::random::<u8>())).collect::<String>();
        Self {
            workspace_id: Uuid::new_v4(),
            channel_id: Uuid::new_v4(),
            connector_id: Uuid::new_v4(),
            access_key_id: Uuid::new_v4(),
            access_key: new_secret().expose_secret().to_owned(),
            admin_token: format!("admin_{}", random(24)),
            secret_key: STANDARD.encode(rand::random::<[u8; 32]>()),
            provider_key: format!("lipa_{}", random(24)),
        }
    }

    /// Whole or not at all, and readable by its owner only.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let draft = path.with_extension("json.new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    }

    pub(super) fn admin_token(&self) -> SecretString {
        SecretString::from(self.admin_token.as_str())
    }

    pub(super) fn vault(&self) -> Result<Vault, String> {
        crate::config::vault_of(&SecretString::from(self.secret_key.as_str()))
    }

    /// Makes workspace, channel and key where they are not there yet.
    pub(super) async fn ensure(&self, store: &Store) -> Result<(), String> {
        self.ensure_rows(store).await.map_err(|error| error.to_string())
    }

    async fn ensure_rows(&self, store: &Store) -> Result<(), store::error::Error> {
        let (workspace, channel) = (WorkspaceId(self.workspace_id), ChannelId(self.channel_id));
        if store.workspace(workspace).await?.is_none() {
            store.create_workspace(workspace, "dev", &ACT).await?;
        }
        if store.channel(workspace, channel).await?.is_none() {
            let settings = ChannelSettings {
                name: "dev".to_owned(),
                number: PhoneNumber::from_stored(NUMBER.to_owned()),
                message_type: MessageType::Transactional,
                messages_per_second: MESSAGES_PER_SECOND_DEFAULT,
                status: ChannelStatus::Active,
                longitude_spelling: domain::content::LongitudeSpelling::Both,
                account_messages_per_second: None,
                // The sandbox has no pair limit, and whoever tries things out writes to one number all the time.
                recipient_rate: RecipientRate { interval_seconds: 0, burst: 1 },
                backlog_max: domain::limits::BACKLOG_DEFAULT,
                on_unknown: domain::outcome::OnUnknown::Repeat,
            };
            let key = SecretString::from(self.provider_key.as_str());
            store.create_channel(workspace, channel, self.connector_id, &settings, &key, &ACT).await?;
        }
        let is_known = match hash_of(&self.access_key) {
            Some(hash) => store.find_access_key(hash).await?.is_some(),
            None => false,
        };
        if !is_known {
            let scopes = api::scopes();
            let secret = SecretString::from(self.access_key.as_str());
            store.create_access_key(workspace, AccessKeyId(self.access_key_id), "dev", &secret, &scopes, &ACT).await?;
        }
        Ok(())
    }
}
