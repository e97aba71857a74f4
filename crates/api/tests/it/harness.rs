//! A running API: server, database, two tenants, and an ordinary HTTP client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use api::Api;
use api::metrics::Metrics;
use lipachat::client::LipachatPreview;
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use store::Store;
use store::writer::AcceptWriter;
use testkit::{Tenant, TestDatabase};

pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-tests";
/// Longer than any answer takes, a slow body's included.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A loaded machine needs a while; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The API with two tenants that know nothing of each other.
pub(crate) struct Harness {
    pub(crate) database: TestDatabase,
    pub(crate) tenant: Tenant,
    pub(crate) other: Tenant,
    pub(crate) address: SocketAddr,
    /// How often something was said to be due.
    pub(crate) hints: Arc<AtomicUsize>,
    pub(crate) metrics: Metrics,
    http: reqwest::Client,
    server: ServerHandle,
}

/// A further server.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    server: ServerHandle,
}

impl Replica {
    /// Ends it at once.
    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The code of an error that must have this status.
    #[track_caller]
    pub(crate) fn code(&self, status: u16) -> String {
        text(&self.expect(status), "code")
    }
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let database = testkit::database().await;
        let store = database.store.clone();
        let tenant = Tenant::create(&store, "lipachat-key").await;
        let other = Tenant::create(&store, "another-key").await;
        tenant.lift_request_limits(&store).await;
        other.lift_request_limits(&store).await;
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let hints = Arc::new(AtomicUsize::new(0));
        let (address, server) = serve(store, metrics.clone(), hints.clone());
        Self { database, tenant, other, address, hints, metrics, http: http_client(), server }
    }

    /// A further server on the same database, that knows of this one only what the database does.
    pub(crate) async fn start_replica(&self) -> Replica {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let (address, server) = serve(self.database.another_store().await, metrics, Arc::default());
        Replica { address, server }
    }

    /// Ends the server after the requests in flight.
    pub(crate) async fn stop(self) {
        // An idle connection is waited for, too.
        drop(self.http);
        self.server.stop(true).await;
    }

    /// Sends a request with these headers; a body goes as JSON.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.request_at(self.address, method, path, headers, body).await
    }

    /// Sends a request to one of several servers.
    pub(crate) async fn request_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    /// Sends a message of the tenant.
    pub(crate) async fn send(&self, message: &Value) -> Answer {
        self.send_text(message.to_string(), &[]).await
    }

    /// Sends a message of the tenant to a further server.
    pub(crate) async fn send_to(&self, replica: &Replica, message: &Value) -> Answer {
        let (key, path) = (self.access_key(), self.tenant.messages_path());
        let headers = [("Authorization", key.as_str())];
        self.request_at(replica.address, Method::POST, &path, &headers, Some(message.to_string())).await
    }

    /// Sends bytes as a message of the tenant, with further headers.
    pub(crate) async fn send_text(&self, body: String, headers: &[(&str, &str)]) -> Answer {
        let key = self.access_key();
        let headers: Vec<_> = headers.iter().copied().chain([("Authorization", key.as_str())]).collect();
        self.request(Method::POST, &self.tenant.messages_path(), &headers, Some(body)).await
    }

    /// Reads a path with the tenant's key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[("Authorization", &self.access_key())], None).await
    }

    /// Asks the admin API.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = format!("Bearer {ADMIN_TOKEN}");
        let body = body.map(|body| body.to_string());
        self.request(method, &format!("/admin{path}"), &[("Authorization", &token)], body).await
    }

    /// The provider key that a tenant's channel is sent with.
    pub(crate) async fn provider_key(&self, tenant: &Tenant) -> String {
        let channel = (tenant.workspace, tenant.channel.id);
        let mut owned = self.database.store.owned_channels(&[channel]).await.unwrap();
        let (_, owned) = owned.pop().unwrap();
        owned.unwrap().key.expose_secret().to_owned()
    }

    /// The tenant's credential.
    pub(crate) fn access_key(&self) -> String {
        format!("AccessKey {}", self.tenant.access_key)
    }

    /// Rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        self.database.number(&format!("SELECT count(*) FROM {table}")).await
    }
}

/// Starts a server on a free port.
fn serve(store: Store, metrics: Metrics, hints: Arc<AtomicUsize>) -> (SocketAddr, ServerHandle) {
    let due: api::app::DueHint = Arc::new(move |_, _, _| {
        hints.fetch_add(1, Ordering::Relaxed);
    });
    let writer = AcceptWriter::start(&store);
    let token = SecretString::from(ADMIN_TOKEN);
    let api = Data::new(Api::new(store, writer, metrics, due, Arc::new(LipachatPreview), token));
    let server = HttpServer::new(move || App::new().configure(|config| api::configure(config, api.clone())))
        .workers(2)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    tokio::spawn(running);
    (address, handle)
}

/// The smallest legal message.
pub(crate) fn message() -> Value {
    json!({
        "receiver": { "contacts": [{ "identifierKey": "phonenumber", "identifierValue": "+254712345678" }] },
        "body": { "type": "text", "text": { "text": "Habari" } }
    })
}

/// A property that is a text.
#[track_caller]
pub(crate) fn text(value: &Value, property: &str) -> String {
    value[property].as_str().unwrap_or_else(|| panic!("no text {property}: {value}")).to_owned()
}

#[allow(clippy::disallowed_methods, reason = "the one place these tests build a client")]
fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    let redirect = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(redirect).timeout(ANSWER_WAIT).build().unwrap()
}
