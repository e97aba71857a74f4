//! A `tuma` process: started, spoken to, stopped or killed.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::{Value, json};

/// Longer than anything in these tests takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// The program with a clean environment.
#[allow(clippy::disallowed_methods, reason = "takes out what the tests inherit")]
pub(crate) fn tuma(args: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tuma"));
    let inherited: Vec<String> =
        std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("TUMA_")).collect();
    for name in inherited {
        command.env_remove(name);
    }
    command
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    tuma(args, environment).output().expect("the program runs")
}

/// A running process; killed when dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.stderr(Stdio::null()).spawn().expect("the program starts"))
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "signal {name}");
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end");
            std::thread::park_timeout(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running `tuma dev`.
pub(crate) struct Dev {
    pub(crate) process: Process,
    /// What it printed when it was ready.
    pub(crate) ready: Value,
    rest: BufReader<std::process::ChildStdout>,
}

impl Dev {
    /// Starts it with JSON output and free ports.
    pub(crate) fn start(args: &[&str]) -> Self {
        let all = [&["dev", "--json", "--listen", "127.0.0.1:0"], args].concat();
        let mut process = Process::start(tuma(&all, &[]));
        let mut rest = BufReader::new(process.0.stdout.take().expect("piped"));
        let mut line = String::new();
        rest.read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).expect("one line of JSON");
        Self { process, ready, rest }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_default().to_owned()
    }

    /// Where messages of its channel go.
    pub(crate) fn messages_url(&self) -> String {
        format!(
            "{}/workspaces/{}/channels/{}/messages",
            self.text("baseUrl"),
            self.text("workspaceId"),
            self.text("channelId")
        )
    }

    /// What it printed after the first line, once it has ended.
    pub(crate) fn remaining_output(&mut self) -> String {
        let mut text = String::new();
        self.rest.read_to_string(&mut text).expect("text");
        text
    }

    pub(crate) async fn post(&self, http: &Client, body: &Value) -> Response {
        post(http, &self.messages_url(), &self.text("accessKey"), body).await
    }

    /// Waits until a message has a status; answers the message.
    pub(crate) async fn wait_for_status(&self, http: &Client, id: &str, status: &str) -> Value {
        let url = format!("{}/{id}", self.messages_url());
        wait_for(|| async {
            let message = get(http, &url, &self.text("accessKey")).await;
            (message["status"] == status).then_some(message)
        })
        .await
    }

    /// What the sandbox has received under a messageId, or in all.
    pub(crate) async fn ledger(&self, http: &Client) -> Value {
        get(http, &format!("{}/_sandbox/ledger", self.text("sandboxUrl")), "").await
    }
}

pub(crate) async fn post(http: &Client, url: &str, key: &str, body: &Value) -> Response {
    let sending =
        http.post(url).header("authorization", format!("AccessKey {key}")).header("content-type", "application/json");
    sending.body(body.to_string()).send().await.expect("an answer")
}

pub(crate) async fn get(http: &Client, url: &str, key: &str) -> Value {
    let answer = http.get(url).header("authorization", format!("AccessKey {key}")).send().await.expect("an answer");
    json_of(answer).await
}

pub(crate) async fn json_of(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
}

/// A text message to one recipient.
pub(crate) fn text(text: &str) -> Value {
    json!({ "receiver": { "contacts": [{ "identifierValue": "+254712345678" }] }, "body": { "type": "text", "text": { "text": text } } })
}

#[allow(clippy::disallowed_methods, reason = "the tests' own client")]
pub(crate) fn http() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// Looks again and again until there is something, or patience ends.
pub(crate) async fn wait_for<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come");
        let mut pause = tokio::time::interval(LOOK);
        pause.tick().await;
        pause.tick().await;
    }
}

/// A port that nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}
