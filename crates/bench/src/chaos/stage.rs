//! Where a scenario plays: a private PostgreSQL and the sandbox, each behind a proxy, and replicas of `tuma serve`.
//!
//! tuma is set up through its admin API and runs with the times it always has. What is scaled down is the rate of the
//! channels and the time between the faults.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cluster::Cluster;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::client::{Door, http};
use super::process::{Process, Program, free_port};
use super::proxy::Proxy;
use super::proxy::pump::Protocol;

/// Replicas of `tuma serve`.
pub(crate) const REPLICAS: usize = 3;
/// Highest rate of each channel, messages a second: low enough that a limit that is not kept is seen.
pub(crate) const CHANNEL_RATE: usize = 100;
/// Requests a second of a workspace: more than ever come, so that none is turned away.
const POSTS_PER_SECOND: usize = 5_000;
const DATABASE: &str = "tuma";
/// 32 bytes in base64 that protect nothing.
const SECRET_KEY: &str = "Y2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MgY2hhb3M1Njc=";
const ADMIN_TOKEN: &str = "chaos-admin-token-of-a-private-stage";
const PROVIDER_KEY: &str = "chaos-provider-key";
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Everything that runs.
pub(crate) struct Stage {
    // Dropped in this order: replicas first, so that they do not report what is taken from under them.
    pub(crate) replicas: Vec<Process>,
    pub(crate) upstream: Process,
    pub(crate) database_proxy: Proxy,
    pub(crate) upstream_proxy: Proxy,
    pub(crate) cluster: Cluster,
    pub(crate) doors: Vec<Door>,
    /// Scheme and host of each replica.
    pub(crate) bases: Vec<String>,
    /// Scheme and host of the sandbox itself.
    sandbox: String,
    http: reqwest::Client,
    folder: PathBuf,
}

impl Stage {
    /// Sets it up with so many channels in two workspaces; its files go to a folder that is there.
    pub(crate) async fn set(folder: PathBuf, channels: usize) -> Result<Self, String> {
        let said = |error: cluster::Error| error.to_string();
        let cluster = Cluster::ephemeral().await.map_err(said)?;
        cluster.create_database(DATABASE).await.map_err(said)?;
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let database_proxy = Proxy::start(local(cluster.port()), Protocol::Postgres).await?;
        let sandbox_port = free_port()?;
        let upstream_proxy = Proxy::start(local(sandbox_port), Protocol::Any).await?;
        let sandbox = format!("http://{}", local(sandbox_port));
        let http = http(ANSWER_WAIT)?;
        let mut upstream = Process::start(Program {
            arguments: ["sandbox", "--listen", &local(sandbox_port).to_string(), "--journal"]
                .into_iter()
                .map(str::to_owned)
                .chain([folder.join("journal.jsonl").display().to_string()])
                .collect(),
            environment: Vec::new(),
            log: folder.join("sandbox.log"),
            ready_url: format!("{sandbox}/_sandbox/healthz"),
        })?;
        upstream.ready(&http).await?;
        let url = cluster.url(DATABASE);
        let url = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", database_proxy.address.port()));
        let (mut replicas, mut bases) = (Vec::new(), Vec::new());
        for number in 0..REPLICAS {
            let (listen, metrics) = (local(free_port()?), local(free_port()?));
            bases.push(format!("http://{listen}"));
            let mut replica = Process::start(Program {
                arguments: vec!["serve".to_owned()],
                environment: vec![
                    ("TUMA_DATABASE_URL", url.clone()),
                    ("TUMA_SECRET_KEY", SECRET_KEY.to_owned()),
                    ("TUMA_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
                    ("TUMA_LIPACHAT_URL", format!("http://{}", upstream_proxy.address)),
                    ("TUMA_LISTEN", listen.to_string()),
                    ("TUMA_METRICS_LISTEN", metrics.to_string()),
                ],
                log: folder.join(format!("replica-{number}.log")),
                ready_url: format!("http://{metrics}/readyz"),
            })?;
            replica.ready(&http).await?;
            replicas.push(replica);
        }
        let mut stage = Self {
            replicas,
            upstream,
            database_proxy,
            upstream_proxy,
            cluster,
            doors: Vec::new(),
            bases,
            sandbox,
            http,
            folder,
        };
        stage.furnish(channels).await?;
        Ok(stage)
    }

    /// Makes workspaces, channels and keys.
    async fn furnish(&mut self, channels: usize) -> Result<(), String> {
        let mut workspaces = Vec::new();
        for name in ["even", "odd"] {
            let workspace = self.admin("/admin/workspaces", &json!({ "name": name })).await?;
            let id = text(&workspace, "id")?;
            let limits = json!({ "requestLimits": { "postsPerSecond": POSTS_PER_SECOND, "getsPerSecond": 50 } });
            self.change(&format!("/admin/workspaces/{id}"), &limits).await?;
            let key = self.admin(&format!("/admin/workspaces/{id}/access-keys"), &json!({ "name": name })).await?;
            workspaces.push((id, text(&key, "accessKey")?));
        }
        for number in 0..channels {
            let (workspace, access_key) = &workspaces[number % workspaces.len()];
            let channel = json!({
                "name": format!("channel {number}"), "number": format!("+{}", digits(number)), "providerKey": PROVIDER_KEY,
                "messageType": "transactional", "messagesPerSecond": CHANNEL_RATE,
                "recipientRate": { "intervalSeconds": 0, "burst": 1 }
            });
            let channel = self.admin(&format!("/admin/workspaces/{workspace}/channels"), &channel).await?;
            let path = format!("/workspaces/{workspace}/channels/{}", text(&channel, "id")?);
            self.doors.push(Door { path, access_key: access_key.clone() });
        }
        Ok(())
    }

    /// Where the database itself is.
    pub(crate) fn database_url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// A file of the stage.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a script in force in the sandbox, past the proxy.
    pub(crate) async fn script(&self, script: &Value) -> Result<(), String> {
        self.send(self.http.post(format!("{}/_sandbox/script", self.sandbox)), script).await.map(drop)
    }

    /// Waits until a replica is ready.
    pub(crate) async fn replica_ready(&mut self, number: usize) -> Result<(), String> {
        let replica = self.replicas.get_mut(number).ok_or("no such replica")?;
        replica.ready(&self.http).await
    }

    async fn admin(&self, path: &str, body: &Value) -> Result<Value, String> {
        let base = self.bases.first().ok_or("no replica")?;
        self.send(self.http.post(format!("{base}{path}")).bearer_auth(ADMIN_TOKEN), body).await
    }

    async fn change(&self, path: &str, body: &Value) -> Result<(), String> {
        let base = self.bases.first().ok_or("no replica")?;
        self.send(self.http.patch(format!("{base}{path}")).bearer_auth(ADMIN_TOKEN), body).await.map(drop)
    }

    async fn send(&self, request: RequestBuilder, body: &Value) -> Result<Value, String> {
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = request.build().map_err(|error| error.to_string())?;
        let url = request.url().to_string();
        let answer = self.http.execute(request).await.map_err(|error| format!("{url}: {error}"))?;
        let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
        if !status.is_success() {
            return Err(format!("{url}: {status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{url}: {error}"))
    }
}

/// The number that a channel sends from, digits.
pub(crate) fn digits(channel: usize) -> String {
    format!("2547000{channel:05}")
}

fn text(answer: &Value, name: &str) -> Result<String, String> {
    answer[name].as_str().map(str::to_owned).ok_or_else(|| format!("an answer without {name}: {answer}"))
}
