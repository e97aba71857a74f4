//! `tuma admin`: a client of the admin API.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, Method, redirect};
use serde_json::{Map, Value, json};

use super::{complain, print};
use crate::cli::{AdminArgs, AdminSubject, ChannelAct, ChannelSettingsArgs, KeyAct, OtherSettings, WorkspaceAct};
use crate::config;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Rows asked for at a time.
const PAGE: usize = 1000;

const SENDING_HOLD: &str = "/admin/sending-hold";

/// One request to the admin API.
struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// Runs the command.
pub async fn run(args: AdminArgs) -> ExitCode {
    match act(&args).await {
        Ok(answer) => {
            show(&answer, args.json);
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    }
}

async fn act(args: &AdminArgs) -> Result<Value, String> {
    let token = config::environment().remove("TUMA_ADMIN_TOKEN").filter(|token| !token.is_empty());
    let token = token.ok_or("TUMA_ADMIN_TOKEN: is required")?;
    let request = request(&args.subject)?;
    let client = http_client(TIMEOUT)?;
    if request.method != Method::GET {
        return send(&client, args, &token, &request, "").await;
    }
    let mut results = Vec::new();
    let mut page = String::new();
    loop {
        let mut answer = send(&client, args, &token, &request, &page).await?;
        let Some(more) = answer["results"].as_array_mut() else { return Ok(answer) };
        results.append(more);
        page = answer["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if page.is_empty() {
            return Ok(json!({ "results": results }));
        }
    }
}

async fn send(client: &Client, args: &AdminArgs, token: &str, request: &Request, page: &str) -> Result<Value, String> {
    let mut url = format!("{}{}", args.url.trim_end_matches('/'), request.path);
    if request.method == Method::GET {
        url = format!("{url}?limit={PAGE}&pageToken={page}");
    }
    let mut sending = client.request(request.method.clone(), url).bearer_auth(token);
    if let Some(body) = &request.body {
        sending = sending.header("content-type", "application/json").body(body.to_string());
    }
    let answer = sending.send().await.map_err(|error| describe(&error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| describe(&error))?;
    let body: Value = serde_json::from_str(&text).map_err(|_| format!("HTTP {status}, not the admin API of tuma"))?;
    if status.is_success() { Ok(body) } else { Err(refusal(&body)) }
}

/// Code, text and violations of an error.
fn refusal(body: &Value) -> String {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut lines = vec![format!("{}: {}", text("code"), text("message"))];
    for (path, texts) in body["details"].as_object().unwrap_or(&Map::new()) {
        for text in texts.as_array().into_iter().flatten() {
            lines.push(format!("  {path} {}", text.as_str().unwrap_or_default()));
        }
    }
    lines.join("\n")
}

fn request(subject: &AdminSubject) -> Result<Request, String> {
    let workspaces = "/admin/workspaces";
    Ok(match subject {
        AdminSubject::Workspaces(WorkspaceAct::List) => get(workspaces.to_owned()),
        AdminSubject::Workspaces(WorkspaceAct::Create { name }) => {
            with_body(Method::POST, workspaces.to_owned(), json!({ "name": name }))
        }
        AdminSubject::Workspaces(WorkspaceAct::Update { workspace, name, others }) => {
            let named = name.as_ref().map_or_else(|| json!({}), |name| json!({ "name": name }));
            with_body(Method::PATCH, format!("{workspaces}/{workspace}"), with_others(named, others))
        }
        AdminSubject::Channels(ChannelAct::List { workspace }) => get(format!("{workspaces}/{workspace}/channels")),
        AdminSubject::Channels(ChannelAct::Create { workspace, settings }) => {
            with_body(Method::POST, format!("{workspaces}/{workspace}/channels"), channel_body(settings)?)
        }
        AdminSubject::Channels(ChannelAct::Update { workspace, channel, settings }) => {
            with_body(Method::PATCH, format!("{workspaces}/{workspace}/channels/{channel}"), channel_body(settings)?)
        }
        AdminSubject::Keys(KeyAct::List { workspace }) => get(format!("{workspaces}/{workspace}/access-keys")),
        AdminSubject::Keys(KeyAct::Create { workspace, name, scopes }) => {
            let mut body = json!({ "name": name });
            if !scopes.is_empty() {
                body["scopes"] = json!(scopes);
            }
            with_body(Method::POST, format!("{workspaces}/{workspace}/access-keys"), body)
        }
        AdminSubject::SendingHold => get(SENDING_HOLD.to_owned()),
        AdminSubject::ReleaseSending => Request { method: Method::DELETE, path: SENDING_HOLD.to_owned(), body: None },
        AdminSubject::Keys(KeyAct::Revoke { workspace, key }) => {
            Request { method: Method::DELETE, path: format!("{workspaces}/{workspace}/access-keys/{key}"), body: None }
        }
    })
}

fn get(path: String) -> Request {
    Request { method: Method::GET, path, body: None }
}

fn with_body(method: Method, path: String, body: Value) -> Request {
    Request { method, path, body: Some(body) }
}

fn channel_body(settings: &ChannelSettingsArgs) -> Result<Value, String> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("name", settings.name.clone().map(Value::String));
    put("number", settings.number.clone().map(Value::String));
    put("messageType", settings.message_type.clone().map(Value::String));
    put("messagesPerSecond", settings.messages_per_second.map(Value::from));
    put("status", settings.status.clone().map(Value::String));
    let key = settings.provider_key_file.as_deref().map(read_secret).transpose()?;
    put("providerKey", key.map(Value::String));
    Ok(with_others(Value::Object(body), &settings.others))
}

fn with_others(mut body: Value, others: &OtherSettings) -> Value {
    for (name, value) in &others.set {
        body[name] = value.clone();
    }
    body
}

/// A secret from a file or standard input: on the command line everybody on the machine could read it.
fn read_secret(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// An HTTP client without surprises.
#[allow(clippy::disallowed_methods, reason = "for this program's own commands; the provider is called elsewhere")]
pub(crate) fn http_client(timeout: Duration) -> Result<Client, String> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder().timeout(timeout).redirect(redirect::Policy::none()).no_proxy();
    builder.build().map_err(|error| describe(&error))
}

/// An error with its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Prints an answer: JSON, or a line an item.
fn show(answer: &Value, as_json: bool) {
    if as_json {
        return print(answer);
    }
    match answer["results"].as_array() {
        Some(items) => items.iter().for_each(|item| print(line(item))),
        None => print(line(answer)),
    }
}

fn line(item: &Value) -> String {
    let shown = item.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        }
    });
    shown.collect::<Vec<_>>().join("  ")
}
