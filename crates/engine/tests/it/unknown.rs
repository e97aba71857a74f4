//! Channels that hold what may have been sent: it is called once, whatever happens, until somebody lets it go.

use std::time::Duration;

use domain::decision::RetryPolicy;
use domain::gate::GatePolicy;
use domain::lifecycle::Status;
use domain::outcome::OnUnknown;
use domain::retry::BackOff;
use domain::schedule::DueReason;
use engine::Settings;
use engine::overdue::Overdue;
use serde_json::{Value, json};
use store::accept::NewMessage;
use store::audit::Act;
use store::channel::ChannelSettings;
use store::proof::{Doubt, Proven};
use store::steer::{Place, Steered};

use crate::messages::{after, of_parts, part_ids};
use crate::process::Process;
use crate::rig::{Node, Rig, fast};
use crate::wait::{until, until_within};

const ACT: Act<'_> = Act { actor: "test", name: "test" };
const UNKNOWN: &str = "SELECT count(*) FROM outbox WHERE due_reason = 'unknown' AND maybe_sent AND due_at = expires_at";

impl Rig {
    /// A rig whose channel holds what may have been sent.
    async fn holding(script: Value) -> Self {
        let mut rig = Self::scripted(script).await;
        rig.choose(OnUnknown::Hold).await;
        rig
    }

    async fn choose(&mut self, on_unknown: OnUnknown) {
        let settings = ChannelSettings { on_unknown, ..self.tenant.channel.settings.clone() };
        self.change_channel(&settings, None).await;
    }

    /// Lets a message go that is held for proof.
    async fn repeat(&self, node: &Node, message: &NewMessage) {
        let place = Place { workspace: message.workspace, channel: message.channel, message: message.id };
        let released = match self.store().release(place, &ACT).await.expect("asked") {
            Steered::Done(released) => released,
            Steered::TooLate | Steered::NotFound => None,
        };
        let (lane, due_at) = released.expect("it was held");
        node.wake.due(message.channel, lane, due_at);
    }

    async fn is_held(&self, message: &NewMessage) -> bool {
        let waiting = self.read(message).await.waiting;
        waiting.is_some_and(|waiting| waiting.reason == DueReason::Unknown && waiting.due_at == message.expires_at)
    }

    fn called(&self) -> Vec<String> {
        self.sandbox.ledger().into_iter().filter_map(|entry| entry.message_id).collect()
    }
}

/// Settings without a breaker.
fn unbroken() -> Settings {
    Settings {
        gate: GatePolicy { troubles_max: 1_000, ..fast().gate },
        call_timeout: Duration::from_millis(500),
        ..fast()
    }
}

#[tokio::test]
async fn what_no_answer_tells_is_called_once_and_waits_visibly() {
    let empty = json!({ "kind": "status", "status": 200, "body": "" });
    let mut answers: Vec<Value> = ["reset", "close", "halfClose", "cutJson", "garbage", "hang", "framework", "html"]
        .map(|kind| json!({ "kind": kind }))
        .to_vec();
    answers.push(empty);
    let named: Vec<(String, Value)> =
        answers.into_iter().enumerate().map(|(n, answer)| (format!("case {n}."), answer)).collect();
    let rules: Vec<Value> =
        named.iter().map(|(name, answer)| json!({ "match": { "textContains": name }, "answer": answer })).collect();
    let rig = Rig::holding(json!({ "rules": rules })).await;
    let messages: Vec<NewMessage> = named.iter().map(|(name, _)| rig.message(name)).collect();
    rig.put(&messages).await;
    let node = rig.node(unbroken()).await;
    let count = i64::try_from(messages.len()).expect("few");
    rig.until_number(UNKNOWN, count).await;
    node.ticks(5).await;
    let mut arrived = rig.called();
    let mut expected: Vec<String> = messages.iter().flat_map(part_ids).collect();
    arrived.sort_unstable();
    expected.sort_unstable();
    assert_eq!(arrived, expected);
    assert_eq!(rig.number("SELECT count(*) FROM attempts WHERE outcome IN ('unknown', 'try_again')").await, count);
    assert_eq!(node.metrics.unknown.total.get(), u64::try_from(count).expect("few"));
    Overdue::new(rig.store().clone(), node.metrics.clone()).look(rig.store().now()).await.expect("looked");
    assert_eq!((node.metrics.unknown.waiting.get(), node.metrics.lanes_overdue.get()), (count, 0));
    node.running.stop().await;
}

#[tokio::test]
async fn what_was_surely_not_sent_is_tried_again_also_where_the_unknown_is_held() {
    let busy = json!({ "kind": "status", "status": 503, "body": "" });
    let failed = json!({ "kind": "status", "status": 200, "body": r#"{"data":null,"status":"error","message":"Request failed."}"# });
    let rules = [json!({ "times": 2, "answer": busy }), json!({ "times": 2, "answer": failed })];
    let rig = Rig::holding(json!({ "rules": rules })).await;
    let messages = rig.put_texts(3).await;
    let node = rig.node(unbroken()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(rig.sandbox.ledger().len(), 7);
    assert_eq!(node.metrics.unknown.total.get(), 0);
    node.running.stop().await;
}

#[tokio::test]
async fn what_is_held_for_proof_ends_unknown_with_its_validity() {
    let rig = Rig::holding(json!({ "rules": [{ "answer": { "kind": "reset" } }] })).await;
    let now = rig.store().now();
    let message = NewMessage { expires_at: after(now, 2_500), ..rig.message("short") };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(unbroken()).await;
    assert_eq!(rig.ended(&message).await, (Status::SendingFailed, Some(16002)));
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn a_released_message_is_repeated_under_the_same_id_and_held_again_if_that_is_unknown() {
    let rig = Rig::holding(json!({ "rules": [{ "times": 2, "answer": { "kind": "reset" } }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(unbroken()).await;
    for calls in 1..=2 {
        until("it is held", async || rig.sandbox.ledger().len() == calls && rig.is_held(&messages[0]).await).await;
        node.ticks(3).await;
        assert_eq!(rig.sandbox.ledger().len(), calls);
        rig.repeat(&node, &messages[0]).await;
    }
    rig.all_sent(&messages).await;
    assert_eq!(rig.called(), vec![part_ids(&messages[0])[0].clone(); 3]);
    node.running.stop().await;
}

#[tokio::test]
async fn a_proven_part_is_followed_by_the_next() {
    let rig = Rig::holding(json!({ "rules": [{ "times": 1, "answer": { "kind": "reset" } }] })).await;
    let message = of_parts(&rig.tenant, rig.store().now(), &["one", "two"]);
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(unbroken()).await;
    until("it is held", async || rig.is_held(&message).await).await;
    let doubt = Doubt { workspace: message.workspace, message: message.id, part: 0 };
    let proven = rig.store().prove_sent(doubt, "wamid.proven").await.expect("asked");
    assert!(matches!(proven, Proven::GoesOn(lane, _) if lane == message.lane), "{proven:?}");
    node.wake.due(message.channel, message.lane, message.due_at);
    rig.all_sent(std::slice::from_ref(&message)).await;
    assert_eq!(rig.called(), part_ids(&message));
    let references = rig.read(&message).await.platform_references;
    assert_eq!((references.len(), references[0].as_str()), (2, "wamid.proven"));
    node.running.stop().await;
}

#[tokio::test]
async fn what_waits_to_be_repeated_is_held_once_its_channel_holds() {
    let mut rig = Rig::scripted(json!({ "rules": [{ "answer": { "kind": "reset" } }] })).await;
    let messages = rig.put_texts(1).await;
    let half_an_hour = Duration::from_secs(1_800);
    let slow = RetryPolicy { back_off: BackOff { first: half_an_hour, longest: half_an_hour }, ..fast().retry };
    let node = rig.node(Settings { retry: slow, ..unbroken() }).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE due_reason = 'back_off' AND maybe_sent", 1).await;
    // A lane keeps to the settings of its beginning.
    node.running.stop().await;
    rig.choose(OnUnknown::Hold).await;
    rig.database.execute("UPDATE outbox SET due_at = clock_timestamp()").await;
    let node = rig.node(unbroken()).await;
    until("it is held", async || rig.is_held(&messages[0]).await).await;
    assert_eq!(rig.sandbox.ledger().len(), 1);
    node.running.stop().await;
}

#[tokio::test]
async fn after_a_kill_only_what_had_begun_is_held_and_nothing_is_called_twice() {
    let mut rig = Rig::holding(json!({ "latencyMillis": 200 })).await.at_rate(100).await;
    rig.choose(OnUnknown::Hold).await;
    rig.put_texts(120).await;
    let first = Process::start(&rig, fast()).await;
    first.node.owns(1).await;
    rig.sandbox.wait_for(40).await;
    first.kill();
    // As behind a pooler, where presence cannot be shown.
    rig.database.execute("UPDATE replicas SET has_presence = false").await;
    let ahead = "SELECT count(*) FROM outbox WHERE due_reason = 'claimed' AND NOT begun";
    assert!(rig.number(ahead).await > 0, "some were only taken ahead");
    let second = rig.node(fast()).await;
    second.owns(1).await;
    // What it claimed with its last breath falls due when that claim lapses.
    let going = "SELECT count(*) FROM outbox WHERE due_reason <> 'unknown'";
    until_within(Duration::from_secs(60), going, async || rig.number(going).await == 0).await;
    let (held, sent) =
        (rig.number(UNKNOWN).await, rig.number("SELECT count(*) FROM messages WHERE status = 'sent'").await);
    assert!(held > 0 && held + sent == 120, "{held} held, {sent} sent");
    let mut arrived = rig.called();
    arrived.sort_unstable();
    let calls = arrived.len();
    arrived.dedup();
    assert_eq!(arrived.len(), calls, "a part was called twice");
    // What is held arrived, but for those whose start was noted as the process died: more of them where it was busy.
    let arrived_and_held = calls - usize::try_from(sent).expect("few");
    assert!(arrived_and_held + 20 >= usize::try_from(held).expect("few"), "{held} held, {arrived_and_held} arrived");
    assert!(second.metrics.unknown.total.get() >= 1);
    second.running.stop().await;
}

#[tokio::test]
async fn no_call_begins_while_its_start_cannot_be_noted_and_then_it_does() {
    let rig = Rig::holding(json!({})).await;
    let refuse = "ALTER TABLE outbox ADD CONSTRAINT no_start CHECK (NOT begun OR claimed_until IS NULL) NOT VALID";
    rig.database.execute(refuse).await;
    let messages = rig.put_texts(3).await;
    let node = rig.node(fast()).await;
    until("starts are noted in vain", async || node.statements(Some("store.begin.begin")) > 3).await;
    assert_eq!(rig.sandbox.ledger().len(), 0);
    rig.database.execute("ALTER TABLE outbox DROP CONSTRAINT no_start").await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    assert_eq!(node.metrics.unknown.total.get(), 0, "what did not begin was surely not sent");
    node.running.stop().await;
}

#[tokio::test]
async fn starts_that_are_noted_keep_to_the_rate() {
    let mut rig = Rig::holding(json!({})).await.at_rate(80).await;
    rig.choose(OnUnknown::Hold).await;
    let messages = rig.put_texts(200).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    rig.assert_rate(80);
    node.running.stop().await;
}
