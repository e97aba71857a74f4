//! Single requests whose answers are read, unlike those of a load.

use reqwest::{Client, Method};
use serde_json::Value;

use crate::bed::Bed;
use crate::limits::client;

/// Who asks a gateway, with the tenant's key.
#[derive(Clone)]
pub(crate) struct Asker {
    client: Client,
    base: String,
    authorization: String,
}

impl Asker {
    pub(crate) fn new(bed: &Bed, address: &str) -> Result<Self, String> {
        let authorization = format!("AccessKey {}", bed.tenant.access_key);
        Ok(Self { client: client()?, base: format!("http://{address}"), authorization })
    }

    /// What is at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, None).await
    }

    /// What comes of a body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url).header("authorization", &self.authorization);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{path}: {status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
    }
}
