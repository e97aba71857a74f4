//! Who asks: access keys for a workspace, the admin token for the installation.
//!
//! Found keys are remembered for a few seconds, so a revoked one is refused everywhere within five. What is not yours
//! is answered like what is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use domain::id::{ChannelId, WorkspaceId};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::Store;
use store::access_key::{AccessKey, KeyHash, hash_of};
use store::channel::Channel;
use store::workspace::Workspace;
use subtle::ConstantTimeEq;

use crate::errors::ApiError;
use crate::rate_limit::RequestRates;

/// How long an answer of the database is believed. Revocation is seen within 5 s (contract, section 2).
const BELIEVED: Duration = Duration::from_secs(4);
/// Entries kept; past it all are forgotten, which costs a query each.
const ENTRIES_MAX: usize = 10_000;

/// What a key may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    MessagesWrite,
    MessagesRead,
    ChannelsRead,
    TemplatesWrite,
    WebhooksWrite,
    SettingsWrite,
}

impl Scope {
    /// All, in the order they are documented.
    pub(crate) const ALL: [Self; 6] = [
        Self::MessagesWrite,
        Self::MessagesRead,
        Self::ChannelsRead,
        Self::TemplatesWrite,
        Self::WebhooksWrite,
        Self::SettingsWrite,
    ];

    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MessagesWrite => "messages:write",
            Self::MessagesRead => "messages:read",
            Self::ChannelsRead => "channels:read",
            Self::TemplatesWrite => "templates:write",
            Self::WebhooksWrite => "webhooks:write",
            Self::SettingsWrite => "settings:write",
        }
    }
}

/// All scopes that a key may have.
#[must_use]
pub fn scopes() -> Vec<String> {
    Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect()
}

/// Who asks, with an access key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
    /// As it is noted in `audit` and shown: the key by its id.
    pub(crate) actor: String,
}

/// Answers of the database, for a few seconds, and how often workspaces asked.
#[derive(Debug, Default)]
pub(crate) struct Access {
    keys: Remembered<KeyHash, AccessKey>,
    channels: Remembered<(WorkspaceId, ChannelId), Channel>,
    workspaces: Remembered<WorkspaceId, Workspace>,
    rates: RequestRates,
}

impl Access {
    /// Checks that the request's key opens a workspace for a purpose. From the moment the key is known the request counts
    /// among those of the key's workspace, whatever becomes of it.
    ///
    /// # Errors
    /// 401 without a valid key, 429 when the workspace asks too often, 404 for a workspace that is not the key's, 403
    /// when the key lacks the scope.
    pub(crate) async fn workspace(
        &self,
        store: &Store,
        request: &HttpRequest,
        scope: Scope,
    ) -> Result<WorkspaceId, ApiError> {
        Ok(self.key(store, request, scope).await?.workspace)
    }

    /// The same, for what is noted with who did it.
    ///
    /// # Errors
    /// As [`Access::workspace`].
    pub(crate) async fn caller(&self, store: &Store, request: &HttpRequest, scope: Scope) -> Result<Caller, ApiError> {
        let key = self.key(store, request, scope).await?;
        Ok(Caller { workspace: key.workspace, actor: format!("access-key {}", key.id) })
    }

    async fn key(&self, store: &Store, request: &HttpRequest, scope: Scope) -> Result<Arc<AccessKey>, ApiError> {
        let secret = credential(request, &["accesskey", "bearer"]).ok_or(ApiError::Unauthorized("access key"))?;
        let hash = hash_of(secret).ok_or(ApiError::Unauthorized("access key"))?;
        let known = match self.keys.get(&hash) {
            Some(known) => known,
            None => self.keys.put(hash, store.find_access_key(hash).await?),
        };
        let key = known.ok_or(ApiError::Unauthorized("access key"))?;
        self.count(store, request, key.workspace).await?;
        let asked: Option<WorkspaceId> = request.match_info().get("workspaceId").and_then(|text| text.parse().ok());
        if asked != Some(key.workspace) {
            return Err(ApiError::NotFound("workspace"));
        }
        if !key.scopes.iter().any(|owned| owned == scope.as_str()) {
            return Err(ApiError::Forbidden(scope.as_str()));
        }
        Ok(key)
    }

    /// Counts a request, and keeps with it what its answer tells about that.
    async fn count(&self, store: &Store, request: &HttpRequest, workspace: WorkspaceId) -> Result<(), ApiError> {
        let limits = self.settings(store, workspace).await?.request_limits;
        let standing = self.rates.count(workspace, request.method(), limits, store.serving_replicas());
        request.extensions_mut().insert(standing);
        if standing.is_allowed { Ok(()) } else { Err(ApiError::TooManyRequests) }
    }

    /// The channel of the request's path.
    ///
    /// # Errors
    /// 404 when the workspace has no such channel.
    pub(crate) async fn channel(
        &self,
        store: &Store,
        request: &HttpRequest,
        workspace: WorkspaceId,
    ) -> Result<Arc<Channel>, ApiError> {
        let asked: Option<ChannelId> = request.match_info().get("channelId").and_then(|text| text.parse().ok());
        let id = asked.ok_or(ApiError::NotFound("channel"))?;
        let known = match self.channels.get(&(workspace, id)) {
            Some(known) => known,
            None => self.channels.put((workspace, id), store.channel(workspace, id).await?),
        };
        known.ok_or(ApiError::NotFound("channel"))
    }

    /// The settings of a workspace that has a key.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn settings(&self, store: &Store, workspace: WorkspaceId) -> Result<Arc<Workspace>, ApiError> {
        let known = match self.workspaces.get(&workspace) {
            Some(known) => known,
            None => self.workspaces.put(workspace, store.workspace(workspace).await?),
        };
        known.ok_or(ApiError::NotFound("workspace"))
    }

    /// Forgets what is remembered of a workspace: it was changed here.
    pub(crate) fn forget_workspace(&self, workspace: WorkspaceId) {
        self.workspaces.forget(&workspace);
    }

    /// Forgets what is remembered of a channel: it was changed here.
    pub(crate) fn forget_channel(&self, workspace: WorkspaceId, channel: ChannelId) {
        self.channels.forget(&(workspace, channel));
    }
}

/// Checks the admin token, in constant time.
///
/// # Errors
/// 401 for any other.
pub(crate) fn admin(request: &HttpRequest, token: &SecretString) -> Result<(), ApiError> {
    let given = credential(request, &["bearer"]).ok_or(ApiError::Unauthorized("admin token"))?;
    let (given, expected) = (Sha256::digest(given.as_bytes()), Sha256::digest(token.expose_secret().as_bytes()));
    if bool::from(given.as_slice().ct_eq(expected.as_slice())) {
        Ok(())
    } else {
        Err(ApiError::Unauthorized("admin token"))
    }
}

/// The credential of the one `Authorization` header, if its scheme is one of these.
fn credential<'a>(request: &'a HttpRequest, schemes: &[&str]) -> Option<&'a str> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let (one, none) = (given.next()?, given.next());
    if none.is_some() {
        return None;
    }
    let (scheme, credential) = one.to_str().ok()?.split_once(' ')?;
    schemes.contains(&scheme.to_ascii_lowercase().as_str()).then_some(credential.trim())
}

/// Answers by question, each with the time it was given.
#[derive(Debug)]
struct Remembered<K, V>(Mutex<HashMap<K, Answer<V>>>);

/// When it was given, and what it was.
type Answer<V> = (Instant, Option<Arc<V>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + std::hash::Hash, V> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<Option<Arc<V>>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(at, _)| at.elapsed() < BELIEVED).map(|(_, value)| value.clone())
    }

    fn put(&self, key: K, value: Option<V>) -> Option<Arc<V>> {
        let value = value.map(Arc::new);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (Instant::now(), value.clone()));
        value
    }

    fn forget(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
