//! A workspace with a channel and a key.

use domain::id::{AccessKeyId, ChannelId, WorkspaceId};
use domain::message::MessageType;
use domain::phone::PhoneNumber;
use domain::spacing::RecipientRate;
use secrecy::{ExposeSecret, SecretString};
use store::Store;
use store::access_key::new_secret;
use store::audit::Act;
use store::channel::{Channel, ChannelSettings, ChannelStatus};
use store::workspace::{RequestLimits, WorkspaceChange};
use uuid::Uuid;

/// The number of the channels that tests make, known to every sandbox.
const NUMBER: &str = "+254110090747";
/// The highest that can be set.
const REQUESTS_PER_SECOND_MAX: u32 = 100_000;
const ACT: Act<'_> = Act { actor: "test", name: "test" };

/// A workspace with a channel and a key with all scopes.
#[derive(Debug)]
pub struct Tenant {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its channel.
    pub channel: Channel,
    /// The key's secret.
    pub access_key: String,
    /// The key's id.
    pub access_key_id: AccessKeyId,
}

impl Tenant {
    /// Makes one; the channel sends with a provider key.
    pub async fn create(store: &Store, provider_key: &str) -> Self {
        let settings = ChannelSettings {
            name: "test".to_owned(),
            number: PhoneNumber::parse(NUMBER).expect("a number"),
            message_type: MessageType::Transactional,
            messages_per_second: 1000,
            status: ChannelStatus::Active,
            longitude_spelling: domain::content::LongitudeSpelling::Both,
            account_messages_per_second: None,
            // Tests write to one number often.
            recipient_rate: RecipientRate { interval_seconds: 0, burst: 1 },
            backlog_max: domain::limits::BACKLOG_DEFAULT,
            on_unknown: domain::outcome::OnUnknown::Repeat,
        };
        let workspace = WorkspaceId(Uuid::new_v4());
        store.create_workspace(workspace, "test", &ACT).await.expect("a workspace");
        let channel = Self::create_channel(store, workspace, &settings, provider_key).await;
        let (id, secret) = (AccessKeyId(Uuid::new_v4()), new_secret());
        let scopes: Vec<String> =
            ["messages:write", "messages:read", "channels:read", "templates:write", "webhooks:write", "settings:write"]
                .map(str::to_owned)
                .to_vec();
        store.create_access_key(workspace, id, "test", &secret, &scopes, &ACT).await.expect("a key");
        Self { workspace, channel, access_key: secret.expose_secret().to_owned(), access_key_id: id }
    }

    /// Lets the workspace ask as fast as its client can: for tests and measurements of other things than the limits.
    pub async fn lift_request_limits(&self, store: &Store) {
        let (posts_per_second, gets_per_second) = (REQUESTS_PER_SECOND_MAX, REQUESTS_PER_SECOND_MAX);
        let request_limits = Some(RequestLimits { posts_per_second, gets_per_second });
        let change = WorkspaceChange { request_limits, ..WorkspaceChange::default() };
        store.update_workspace(self.workspace, &change, &ACT).await.expect("a change").expect("the workspace");
    }

    /// Makes a further channel in a workspace.
    pub async fn create_channel(
        store: &Store,
        workspace: WorkspaceId,
        settings: &ChannelSettings,
        provider_key: &str,
    ) -> Channel {
        let key = SecretString::from(provider_key);
        let (id, connector) = (ChannelId(Uuid::new_v4()), Uuid::new_v4());
        store.create_channel(workspace, id, connector, settings, &key, &ACT).await.expect("a channel")
    }

    /// The path of the channel's messages.
    #[must_use]
    pub fn messages_path(&self) -> String {
        format!("/workspaces/{}/channels/{}/messages", self.workspace, self.channel.id)
    }
}
