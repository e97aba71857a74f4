//! Test clients: [`Client`] speaks HTTP with connections kept alive, [`Raw`] writes bytes.
//!
//! Both talk to a sandbox of their own, so that tests share nothing.

use std::sync::Once;

use sandbox::{Sandbox, Script, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "key-1";
pub(crate) const TEXT: &str = "/api/v1/whatsapp/message/text";
pub(crate) const FROM: &str = "254110090747";
pub(crate) const TO: &str = "254700000000";

/// A sandbox with one key and one number, and a client for it.
pub(crate) struct Client {
    pub(crate) sandbox: Sandbox,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Client {
    pub(crate) async fn start() -> Self {
        Self::with(Settings { api_key: Some(KEY.to_owned()), numbers: vec![FROM.to_owned()], ..Settings::default() })
            .await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let http = http_client();
        Self { sandbox: Sandbox::start(settings).await.unwrap(), http }
    }

    /// A sandbox with this script in force.
    pub(crate) async fn scripted(script: Value) -> Self {
        let client = Self::start().await;
        client.sandbox.script(Script::parse(script.to_string().as_bytes()).unwrap()).unwrap();
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.http.get(self.sandbox.url() + path)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, Some(KEY), body).await.unwrap()
    }

    pub(crate) async fn post_with_key(&self, key: Option<&str>, body: &Value) -> Answer {
        self.try_post(TEXT, key, body).await.unwrap()
    }

    /// Sends these bytes as this content type.
    pub(crate) async fn post_bytes(&self, content_type: &str, body: &'static str) -> Answer {
        let request = self.http.post(self.sandbox.url() + TEXT).header("apiKey", KEY);
        read(request.header("Content-Type", content_type).body(body)).await.unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, key: Option<&str>, body: &Value) -> reqwest::Result<Answer> {
        let mut request = self.http.post(self.sandbox.url() + path);
        if let Some(key) = key {
            request = request.header("apiKey", key);
        }
        read(request.header("Content-Type", "application/json").body(body.to_string())).await
    }

    /// Sends a text with this id.
    pub(crate) async fn text(&self, id: &str) -> Answer {
        self.try_text(id).await.unwrap()
    }

    pub(crate) async fn try_text(&self, id: &str) -> reqwest::Result<Answer> {
        self.try_post(TEXT, Some(KEY), &text_body(id)).await
    }

    /// How many of the ledger's entries were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.sandbox.ledger().iter().filter(|entry| entry.accepted).count()
    }
}

async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

#[allow(clippy::disallowed_methods, reason = "the one place these tests build a client")]
fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    let redirect = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(redirect).build().unwrap()
}

pub(crate) fn text_body(id: &str) -> Value {
    json!({ "message": "Hello Asha", "messageId": id, "to": TO, "from": FROM })
}

/// One connection of bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(sandbox: &Sandbox) -> Self {
        Self(TcpStream::connect(sandbox.addr()).await.unwrap())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Writes a good text send.
    pub(crate) async fn send_text(&mut self, id: &str) {
        let body = text_body(id).to_string();
        let length = body.len();
        let head = format!(
            "POST {TEXT} HTTP/1.1\r\nHost: x\r\napiKey: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.write((head + &body).as_bytes()).await;
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn read_all(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// One answer with a `Content-Length`, as text.
    pub(crate) async fn read_answer(&mut self) -> String {
        let mut bytes = Vec::new();
        loop {
            bytes.push(self.0.read_u8().await.unwrap());
            if bytes.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let head = String::from_utf8(bytes).unwrap();
        let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        head + &String::from_utf8(body).unwrap()
    }
}
