//! One HTTP call to Lipachat.

use std::time::Duration;

use domain::content::{LongitudeSpelling, Part};
use domain::limits::CALLS_MAX;
use domain::outcome::Report;
use domain::phone::PhoneNumber;
use domain::planted::{self, Bug};
use domain::provider::{Call, Preview, PreviewedCall, Provider};
use reqwest::header::HeaderValue;
use reqwest::{Client, Response, Url, redirect, retry};
use secrecy::ExposeSecret;

use crate::classify::{Transport, classify};
use crate::wire::answer::{ANSWER_BYTES_MAX, Answer};
use crate::wire::request::{Request, render};
use crate::wire::retry_after;

/// Making a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From the connection to the last byte of the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Kept open for so long; shorter than common servers do, so that they rarely close one as we write.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The gateway cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address of a host.
    #[error("{0}")]
    Address(String),
    /// The client cannot be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Lipachat's gateway.
#[derive(Clone, Debug)]
pub struct Lipachat {
    client: Client,
    base: Url,
}

impl Lipachat {
    /// A client of the gateway at scheme and host.
    ///
    /// # Errors
    /// When the address is not `http(s)://host[:port]`.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that builds the provider's HTTP client, with every default named"
    )]
    pub fn new(address: &str) -> Result<Self, Error> {
        let base = parse_address(address)?;
        // Already installed by an earlier client of this process: as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(repetitions(&base))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_max_idle_per_host(CALLS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("tuma/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, base })
    }

    async fn post(&self, request: Request, key: &str, timeout: Duration) -> Transport {
        let mut url = self.base.clone();
        url.set_path(request.path);
        let Ok(mut key) = HeaderValue::from_str(key) else {
            return Transport::NotConnected("the channel's key cannot be a header".to_owned());
        };
        key.set_sensitive(true);
        let sending = self
            .client
            .post(url)
            .header("apiKey", key)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .timeout(timeout.min(CALL_TIMEOUT))
            .body(request.body.to_string());
        match sending.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() || error.is_builder() => Transport::NotConnected(describe(error)),
            Err(error) => Transport::Broken(describe(error)),
        }
    }
}

impl Provider for Lipachat {
    async fn call(&self, call: Call<'_>) -> Report {
        let request = render(call.part, call.from, call.to, call.longitude_spelling);
        let key = call.key.expose_secret();
        let report = classify(&self.post(request, key, call.timeout).await);
        Report { detail: without_key(report.detail, key), ..report }
    }
}

/// Shows the calls that [`Lipachat`] would make.
#[derive(Clone, Copy, Debug)]
pub struct LipachatPreview;

impl Preview for LipachatPreview {
    fn preview(&self, part: &Part, from: &PhoneNumber, to: &PhoneNumber, spelling: LongitudeSpelling) -> PreviewedCall {
        let request = render(part, from, to, spelling);
        PreviewedCall { method: "POST", path: request.path.to_owned(), body: request.body }
    }
}

/// None: what may be repeated is decided by who knows what may have been sent.
fn repetitions(base: &Url) -> retry::Builder {
    if planted::is(Bug::LibraryRetry) {
        let host = base.host_str().unwrap_or_default().to_owned();
        return retry::for_host(host).no_budget().classify_fn(|call| match call.error() {
            Some(_) => call.retryable(),
            None => call.success(),
        });
    }
    retry::never()
}

/// A provider may repeat the key in its text, in any case; the record must not hold it.
fn without_key(detail: String, key: &str) -> String {
    if key.is_empty() { detail } else { detail.replace(key, "[key]").replace(&key.to_lowercase(), "[key]") }
}

/// Checks that an address is scheme and host only.
///
/// # Errors
/// What is wrong with it.
pub fn parse_address(address: &str) -> Result<Url, Error> {
    let url: Url = address.parse().map_err(|error| Error::Address(format!("not a URL: {error}")))?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::Address("must be http or https with a host".to_owned()));
    }
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Address("must be scheme and host only".to_owned()));
    }
    Ok(url)
}

async fn read(mut response: Response) -> Transport {
    let status = response.status().as_u16();
    let retry_after = retry_after::read(response.headers());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Transport::Answered(Answer { status, retry_after, body, is_cut: true });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Transport::Answered(Answer { status, retry_after, body, is_cut: false }),
            Err(error) => return Transport::Broken(describe(error)),
        }
    }
}

/// The error with its causes and without the address, which says nothing new.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
