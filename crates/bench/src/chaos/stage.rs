//! Where a scenario plays: a private PostgreSQL and the sandbox, and replicas of `tuma serve`, each with a proxy of its own
//! before either.
//!
//! tuma is set up through its admin API and runs with the times it always has. What is scaled down is the rate of the
//! channels and the time between the faults.

mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::Cluster;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::balancer::Balancer;
use super::client::{Door, http};
use super::disk::Disk;
use super::facts::database::Rows;
use super::process::{Process, Program, free_port};
use super::proxy::pump::Protocol;
use super::proxy::switch::Switch;
use super::proxy::trap::Trap;
use super::proxy::{Proxy, Way};

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

/// What a stage has beside what all have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Furniture {
    pub(crate) channels: usize,
    /// What channels do with an unknown outcome, where it is not what they do anyway.
    pub(crate) on_unknown: Option<&'static str>,
    /// A balancer is before the replicas.
    pub(crate) is_balanced: bool,
    /// The rows are on a file system that can be filled.
    pub(crate) has_small_disk: bool,
}

/// Everything that runs.
pub(crate) struct Stage {
    // Dropped in this order: replicas first, so that they do not report what is taken from under them.
    balancer: Option<Balancer>,
    pub(crate) replicas: Vec<Process>,
    pub(crate) upstream: Process,
    /// Of the ways of all replicas to the database, and to the upstream.
    pub(crate) database_switch: Switch,
    pub(crate) upstream_switch: Switch,
    /// On all these ways.
    pub(crate) trap: Trap,
    proxies: Vec<Proxy>,
    pub(crate) cluster: Cluster,
    /// Unmounted when the server is gone.
    pub(crate) disk: Option<Disk>,
    pub(crate) doors: Vec<Door>,
    /// Scheme and host of each replica.
    bases: Vec<String>,
    /// Scheme and host of the sandbox itself.
    sandbox: String,
    http: reqwest::Client,
    folder: PathBuf,
}

impl Stage {
    /// Sets it up; its files go to a folder that is there.
    pub(crate) async fn set(folder: PathBuf, furniture: Furniture) -> Result<Self, String> {
        let said = |error: cluster::Error| error.to_string();
        let mut cluster = Cluster::ephemeral().await.map_err(said)?;
        Rows::connect(&cluster.url("postgres")).await?.note_commits().await?;
        cluster.restart().await.map_err(said)?;
        let disk = if furniture.has_small_disk {
            Some(Disk::under(&cluster, DATABASE).await?)
        } else {
            cluster.create_database(DATABASE).await.map_err(said)?;
            None
        };
        let http = http(ANSWER_WAIT)?;
        let sandbox_address = local(free_port()?);
        let sandbox = format!("http://{sandbox_address}");
        let mut upstream = Process::start(sandbox_program(&folder, sandbox_address))?;
        upstream.ready(&http).await?;
        let mut stage = Self {
            balancer: None,
            replicas: Vec::new(),
            upstream,
            database_switch: Switch::transparent(),
            upstream_switch: Switch::transparent(),
            trap: Trap::default(),
            proxies: Vec::new(),
            cluster,
            disk,
            doors: Vec::new(),
            bases: Vec::new(),
            sandbox,
            http,
            folder,
        };
        for number in 0..REPLICAS {
            stage.add_replica(number, sandbox_address).await?;
        }
        stage.furnish(furniture).await?;
        if furniture.is_balanced {
            let ready = stage.replicas.iter().map(|replica| replica.ready_url().to_owned());
            stage.balancer = Some(Balancer::start(stage.bases.iter().cloned().zip(ready).collect()).await?);
        }
        Ok(stage)
    }

    /// Starts a replica with ways of its own, and waits until it is ready.
    async fn add_replica(&mut self, number: usize, upstream: SocketAddr) -> Result<(), String> {
        let way = |switch: &Switch| Way { switch: switch.clone(), trap: self.trap.clone(), replica: number };
        let port = self.cluster.port();
        let database = Proxy::start(local(port), Protocol::Postgres, way(&self.database_switch)).await?;
        let upstream = Proxy::start(upstream, Protocol::Http, way(&self.upstream_switch)).await?;
        let (listen, metrics) = (local(free_port()?), local(free_port()?));
        let url = self.database_url().replace(&format!(":{port}/"), &format!(":{}/", database.address.port()));
        let mut replica = Process::start(Program {
            arguments: vec!["serve".to_owned()],
            environment: vec![
                ("TUMA_DATABASE_URL", url),
                ("TUMA_SECRET_KEY", SECRET_KEY.to_owned()),
                ("TUMA_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
                ("TUMA_LIPACHAT_URL", format!("http://{}", upstream.address)),
                ("TUMA_LISTEN", listen.to_string()),
                ("TUMA_METRICS_LISTEN", metrics.to_string()),
            ],
            log: self.folder.join(format!("replica-{number}.log")),
            ready_url: format!("http://{metrics}/readyz"),
        })?;
        replica.ready(&self.http).await?;
        self.replicas.push(replica);
        self.bases.push(format!("http://{listen}"));
        self.proxies.extend([database, upstream]);
        Ok(())
    }

    /// Where messages are handed in: scheme and host of each.
    pub(crate) fn entrances(&self) -> Vec<String> {
        self.balancer.as_ref().map_or_else(|| self.bases.clone(), |balancer| vec![balancer.base()])
    }

    /// Calls that the balancer had to give up.
    pub(crate) fn given_up(&self) -> u64 {
        self.balancer.as_ref().map_or(0, Balancer::given_up)
    }

    /// Ends everything.
    pub(crate) async fn strike_down(self) -> Result<(), String> {
        let Self { balancer, replicas, cluster, disk, .. } = self;
        drop(balancer);
        drop(replicas);
        cluster.stop().await.map_err(|error| error.to_string())?;
        drop(disk);
        Ok(())
    }

    /// Makes workspaces, channels and keys.
    async fn furnish(&mut self, furniture: Furniture) -> Result<(), String> {
        let mut workspaces = Vec::new();
        for name in ["even", "odd"] {
            let workspace = self.admin("/admin/workspaces", &json!({ "name": name })).await?;
            let id = text(&workspace, "id")?;
            let limits = json!({ "requestLimits": { "postsPerSecond": POSTS_PER_SECOND, "getsPerSecond": 50 } });
            self.change(&format!("/admin/workspaces/{id}"), &limits).await?;
            let key = self.admin(&format!("/admin/workspaces/{id}/access-keys"), &json!({ "name": name })).await?;
            workspaces.push((id, text(&key, "accessKey")?));
        }
        for number in 0..furniture.channels {
            let (workspace, access_key) = &workspaces[number % workspaces.len()];
            let mut channel = json!({
                "name": format!("channel {number}"), "number": format!("+{}", digits(number)), "providerKey": PROVIDER_KEY,
                "messageType": "transactional", "messagesPerSecond": CHANNEL_RATE,
                "recipientRate": { "intervalSeconds": 0, "burst": 1 }
            });
            if let Some(choice) = furniture.on_unknown {
                channel["onUnknown"] = json!(choice);
            }
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

fn sandbox_program(folder: &Path, listen: SocketAddr) -> Program {
    let journal = folder.join("journal.jsonl").display().to_string();
    let arguments = ["sandbox", "--listen", &listen.to_string(), "--journal", &journal].map(str::to_owned);
    Program {
        arguments: arguments.to_vec(),
        environment: Vec::new(),
        log: folder.join("sandbox.log"),
        ready_url: format!("http://{listen}/_sandbox/healthz"),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The number that a channel sends from, digits.
pub(crate) fn digits(channel: usize) -> String {
    format!("2547000{channel:05}")
}

fn text(answer: &Value, name: &str) -> Result<String, String> {
    answer[name].as_str().map(str::to_owned).ok_or_else(|| format!("an answer without {name}: {answer}"))
}
