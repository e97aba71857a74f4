//! `tuma probe`: finds out with a few calls how the provider answers a repeated `messageId`, and stores it with the channel.

use std::process::ExitCode;

use domain::content::{Content, Part, Text};
use domain::id::{ChannelId, PartId, WorkspaceId};
use domain::outcome::Report;
use domain::phone::PhoneNumber;
use domain::provider::{Call, Provider};
use lipachat::Lipachat;
use lipachat::client::CALL_TIMEOUT;
use prometheus::Registry;
use serde_json::{Value, json};
use store::Store;
use store::audit::Act;
use store::metrics::Metrics;
use store::owned::OwnedChannel;
use store::probe::Duplicates;
use uuid::Uuid;

use super::{complain, print, refuse, start_logging};
use crate::cli::ProbeArgs;
use crate::config::{self, Config};
use crate::probe::{CALLS_MAX, Next, judge};

const ACT: Act<'static> = Act { actor: "tuma probe", name: "channel.probe" };
const TEXT: &str =
    "A test of tuma: the same message is sent a few times under one id. You may see it once or more often.";

/// Runs the command: exit code 1 when nothing was found.
pub async fn run(args: &ProbeArgs) -> ExitCode {
    let environment = config::environment();
    let config = match config::read(&environment) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    if let Err(problems) = start_logging(&environment) {
        return refuse(&problems);
    }
    match probe(&config, args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    }
}

async fn probe(config: &Config, args: &ProbeArgs) -> Result<(), String> {
    let to = PhoneNumber::parse(&args.to).map_err(|error| format!("--to: {error}"))?;
    let text = |error: store::error::Error| error.to_string();
    let metrics = Metrics::register(&Registry::new()).map_err(|error| error.to_string())?;
    let store = Store::connect(config.database.clone(), 1, config.vault.clone(), metrics).await.map_err(text)?;
    if !store.is_migrated().await.map_err(text)? {
        return Err("migrations are pending; `tuma migrate` applies them".to_owned());
    }
    store.live().await.map_err(text)?;
    let (workspace, owned) = find(&store, args).await?;
    if let Some(stop) = store.stops().first() {
        return Err(stop.to_string());
    }
    if let Some(gate) = owned.gate {
        return Err(format!("the channel's gate is closed until {}: {}", gate.until, gate.reason.as_str()));
    }
    let from = &owned.channel.settings.number;
    if !args.json {
        print(format_args!(
            "sends one text up to {CALLS_MAX} times under one messageId from {from} to {to} through {}; a provider that does not \
             recognise the repetition delivers it as often",
            config.lipachat_url,
            from = from.e164(),
            to = to.e164(),
        ));
    }
    let (id, reports, found) = call(config, &owned, &to, args.json).await?;
    let probed = store.save_probe(workspace, owned.channel.id, found, &ACT).await.map_err(text)?;
    let probed = probed.ok_or("the channel is gone")?;
    if args.json {
        let calls: Vec<Value> = reports.iter().map(shown).collect();
        print(json!({
            "channelId": owned.channel.id.to_string(), "messageId": id.0.to_string(), "calls": calls,
            "duplicates": found.as_str(), "probedAt": probed.at.to_string()
        }));
    } else {
        print(format_args!("{}: {}", found.as_str(), meaning(found)));
    }
    Ok(())
}

/// The channel with its key, and its workspace.
async fn find(store: &Store, args: &ProbeArgs) -> Result<(WorkspaceId, OwnedChannel), String> {
    let text = |error: store::error::Error| error.to_string();
    let channel: ChannelId = args.channel.parse().map_err(|error| format!("--channel: {error}"))?;
    let workspace = match &args.workspace {
        Some(id) => id.parse().map_err(|error| format!("--workspace: {error}"))?,
        None => match store.workspaces_of(channel).await.map_err(text)?.as_slice() {
            [only] => *only,
            [] => return Err("--channel: there is no such channel".to_owned()),
            _ => return Err("--workspace: several workspaces have this channel; name one".to_owned()),
        },
    };
    let found = store.owned_channels(&[(workspace, channel)]).await.map_err(text)?.pop();
    let (_, owned) = found.ok_or("--channel: there is no such channel in this workspace")?;
    Ok((workspace, owned.map_err(text)?))
}

/// Makes the calls; answers the id, the answers, and what they say.
async fn call(
    config: &Config,
    owned: &OwnedChannel,
    to: &PhoneNumber,
    is_quiet: bool,
) -> Result<(PartId, Vec<Report>, Duplicates), String> {
    let provider = Lipachat::new(&config.lipachat_url).map_err(|error| error.to_string())?;
    let part = Part {
        id: PartId(Uuid::new_v4()),
        content: Content::Text(Text::new(TEXT).map_err(|error| error.to_string())?),
    };
    let settings = &owned.channel.settings;
    let mut reports: Vec<Report> = Vec::with_capacity(CALLS_MAX);
    loop {
        match judge(&reports) {
            Next::Call => {}
            Next::Found(found) => return Ok((part.id, reports, found)),
            Next::Stop(why) => return Err(why),
        }
        let call = Call {
            key: &owned.key,
            from: &settings.number,
            to,
            part: &part,
            longitude_spelling: settings.longitude_spelling,
            timeout: CALL_TIMEOUT,
        };
        let report = provider.call(call).await;
        if !is_quiet {
            let status = report.http_status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
            print(format_args!("call {}: {} ({status}, {})", reports.len() + 1, report.outcome.as_str(), report.rule));
        }
        reports.push(report);
    }
}

fn shown(report: &Report) -> Value {
    json!({ "outcome": report.outcome.as_str(), "rule": report.rule, "httpStatus": report.http_status })
}

fn meaning(found: Duplicates) -> &'static str {
    match found {
        Duplicates::Same => "a repeated messageId is answered with the first result; repeating is safe",
        Duplicates::Error => "a repeated messageId is refused as a duplicate; repeating is safe",
        Duplicates::Second => "a repeated messageId is sent again; repeating after an unknown outcome may send twice",
        Duplicates::Unclear => "no two repetitions were answered alike; take it that repeating may send twice",
    }
}
