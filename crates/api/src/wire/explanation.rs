//! The answer to `explain`: the plan of a stored message, what happened to it, and what its time was spent for.

use domain::timeline::{Attempted, Cause, Delays, Entry, Happened, Story, Wait};
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::message::Message;

use super::plan::PlanView;
use super::response::instant;

const MILLISECONDS_A_SECOND: f64 = 1000.0;

/// A message explained.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplanationView {
    #[serde(flatten)]
    plan: PlanView,
    status: &'static str,
    timeline: Vec<EntryView>,
    delays: Value,
}

/// Something that happened.
#[derive(Serialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    at: String,
    event: &'static str,
    /// The wait that it ended, and the one that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_for: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallMade>,
}

/// A call that was made.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct CallMade {
    part: usize,
    finished_at: String,
    outcome: String,
    rule: String,
    http_status: Option<i32>,
}

/// Shows a message with its story.
pub(crate) fn view(plan: PlanView, message: &Message, story: &Story) -> ExplanationView {
    let mut entries = story.entries();
    // What is done with a message after its end, as sending it again, is told after it.
    let later = if message.status.is_waiting() {
        Vec::new()
    } else {
        entries.split_off(entries.partition_point(|entry| entry.at() <= message.last_status_at))
    };
    let mut timeline = vec![accepted(story)];
    timeline.extend(entries.into_iter().map(of_entry));
    if !message.status.is_waiting() {
        let at = instant(message.last_status_at);
        timeline.push(EntryView { at, event: message.status.as_str(), ..EntryView::default() });
    }
    timeline.extend(later.into_iter().map(of_entry));
    ExplanationView { plan, status: message.status.as_str(), timeline, delays: seconds(&story.delays()) }
}

fn of_entry(entry: Entry<'_>) -> EntryView {
    match entry {
        Entry::Attempted(attempted) => of_attempt(attempted),
        Entry::Happened(happened) => of_event(happened),
    }
}

/// What it began to wait for is what its first wait was for.
fn accepted(story: &Story) -> EntryView {
    let first = story.entries().first().map(|first| match first {
        Entry::Attempted(attempted) => attempted.waited,
        Entry::Happened(happened) => happened.waited,
    });
    let entry = EntryView { at: instant(story.accepted_at), event: "accepted", ..EntryView::default() };
    waiting(entry, first.unwrap_or(story.waits))
}

fn of_attempt(attempted: &Attempted) -> EntryView {
    let call = CallMade {
        part: attempted.part,
        finished_at: instant(attempted.finished_at),
        outcome: attempted.outcome.clone(),
        rule: attempted.rule.clone(),
        http_status: attempted.http_status,
    };
    let at = instant(attempted.started_at);
    waited(EntryView { at, event: "attempt", call: Some(call), ..EntryView::default() }, attempted.waited)
}

fn of_event(happened: &Happened) -> EntryView {
    let actor = Some(happened.actor.clone()).filter(|actor| !actor.is_empty());
    let entry = EntryView { at: instant(happened.at), event: happened.event.as_str(), actor, ..EntryView::default() };
    waiting(waited(entry, happened.waited), happened.waits)
}

fn waited(entry: EntryView, wait: Option<Wait>) -> EntryView {
    let (waited_for, waited_until) = (wait.map(|wait| wait.reason.as_str()), wait.map(|wait| instant(wait.until)));
    EntryView { waited_for, waited_until, ..entry }
}

fn waiting(entry: EntryView, wait: Option<Wait>) -> EntryView {
    let (waits_for, waits_until) = (wait.map(|wait| wait.reason.as_str()), wait.map(|wait| instant(wait.until)));
    EntryView { waits_for, waits_until, ..entry }
}

/// Seconds by cause, to the millisecond.
fn seconds(delays: &Delays) -> Value {
    let of = |cause: Cause| (cause.as_str().to_owned(), json!(delays.of(cause) as f64 / MILLISECONDS_A_SECOND));
    Value::Object(Cause::ALL.into_iter().map(of).collect::<Map<String, Value>>())
}
