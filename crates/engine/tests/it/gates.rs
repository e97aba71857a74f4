//! Gates: what a refused key, a rate limit or an outage does to a channel, and how it comes back.

use std::net::SocketAddr;
use std::time::Duration;

use domain::gate::GatePolicy;
use domain::lifecycle::Status;
use engine::Settings;
use sandbox::{Sandbox, Settings as SandboxSettings};
use serde_json::json;
use tokio::net::TcpListener;

use crate::process::{Process, long_leases};
use crate::rig::{KEY, Node, Rig, fast};
use crate::wait::until;

const GATES: &str = "SELECT count(*) FROM channel_gates";
const CREDENTIALS: &str = "SELECT count(*) FROM channel_gates WHERE reason = 'credentials'";
const UNTRIED: &str = "SELECT count(*) FROM outbox WHERE tries = 0 AND due_reason <> 'claimed' AND NOT maybe_sent";

/// Settings whose gates stay closed until something but time opens them.
fn long_gates() -> Settings {
    let long = Duration::from_secs(600);
    Settings { gate: GatePolicy { credentials_probe: long, ..fast().gate }, ..fast() }
}

/// Arrivals from an instant of the ledger on, for a time.
fn arrivals(sandbox: &Sandbox, from: u64, lasting: Duration) -> usize {
    let until = u128::from(from) + lasting.as_micros();
    let within = |at: u64| at > from && u128::from(at) < until;
    sandbox.ledger().iter().filter(|entry| within(entry.arrival_monotonic_micros)).count()
}

#[tokio::test]
async fn behind_a_refused_key_messages_wait_untried_until_the_key_is_mended() {
    let mut rig = Rig::with_key("a-wrong-key", json!({})).await;
    let messages = rig.put_texts(50).await;
    let node = rig.node(long_gates()).await;
    rig.until_number(CREDENTIALS, 1).await;
    rig.until_number(UNTRIED, 50).await;
    // Calls that were under way when the first answer came.
    let calls = rig.sandbox.ledger().len();
    node.ticks(5).await;
    assert_eq!((rig.sandbox.ledger().len(), rig.number(UNTRIED).await), (calls, 50));
    assert_eq!(rig.statuses(&messages).await.values().sum::<usize>(), 50);
    rig.change_key(KEY).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    rig.until_number(GATES, 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_refused_key_is_probed_one_at_a_time() {
    let rig = Rig::with_key("a-wrong-key", json!({ "latencyMillis": 50 })).await;
    rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.until_number(CREDENTIALS, 1).await;
    rig.put_texts(49).await;
    let before = rig.sandbox.ledger().len();
    rig.sandbox.wait_for(before as u64 + 5).await;
    rig.assert_no_overlap(Duration::from_millis(50));
    let arrivals: Vec<u64> = rig.sandbox.ledger().iter().map(|entry| entry.arrival_monotonic_micros).collect();
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] >= 150_000, "a probe came early: {arrivals:?}");
    }
    rig.until_number(UNTRIED, 50).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_key_that_is_accepted_again_opens_the_gate_without_an_operator() {
    let rig = Rig::scripted(json!({ "credentials": { "refuseAll": true } })).await;
    let messages = rig.put_texts(50).await;
    let node = rig.node(fast()).await;
    rig.until_number(CREDENTIALS, 1).await;
    rig.script(json!({}));
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    rig.until_number(GATES, 0).await;
    until("no gate is counted", async || node.metrics.gates_closed.with_label_values(&["credentials"]).get() == 0)
        .await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_probe_that_ends_after_the_key_was_mended_does_not_close_the_gate_on_record() {
    let slow = json!({ "kind": "normal", "delayMillis": 2500 });
    let script = json!({ "rules": [{ "times": 1, "answer": { "kind": "normal" } }, { "times": 1, "answer": slow }] });
    let mut rig = Rig::with_key("a-wrong-key", script).await;
    rig.put_texts(1).await;
    let node = rig.node(Settings { call_timeout: Duration::from_secs(5), ..fast() }).await;
    // The first call closed the gate, the second is its probe and is under way.
    rig.sandbox.wait_for(2).await;
    rig.change_key(KEY).await;
    let further = rig.put_texts(1).await;
    rig.all_sent(&further).await;
    rig.until_number("SELECT count(*) FROM outbox", 0).await;
    node.ticks(2).await;
    assert_eq!(rig.number(GATES).await, 0);
    node.running.stop().await;
}

#[tokio::test]
async fn a_gate_outlives_its_owner() {
    let mut rig = Rig::with_key("a-wrong-key", json!({})).await;
    let messages = rig.put_texts(5).await;
    let first = rig.node(long_gates()).await;
    rig.until_number(CREDENTIALS, 1).await;
    first.running.stop().await;
    let calls = rig.sandbox.ledger().len();
    let second = rig.node(long_gates()).await;
    second.owns(1).await;
    second.ticks(15).await;
    assert_eq!(rig.sandbox.ledger().len(), calls);
    rig.change_key(KEY).await;
    rig.all_sent(&messages).await;
    second.running.stop().await;
}

#[tokio::test]
async fn another_name_of_the_channel_does_not_cut_a_rate_limit_short() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "4" } });
    let mut rig = Rig::scripted(json!({ "rules": [{ "times": 1, "answer": limited }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.until_number("SELECT count(*) FROM channel_gates WHERE reason = 'rateLimit'", 1).await;
    let settings = rig.tenant.channel.settings.clone();
    rig.change_channel(&store::channel::ChannelSettings { name: "another".to_owned(), ..settings }, None).await;
    rig.all_sent(&messages).await;
    let ledger = rig.sandbox.ledger();
    let [first, second] = &ledger[..] else { panic!("{} requests", ledger.len()) };
    let waited = second.arrival_monotonic_micros - first.arrival_monotonic_micros;
    assert!(waited >= 4_000_000, "{waited} µs");
    node.running.stop().await;
}

#[tokio::test]
async fn an_outage_uses_no_try_and_ends_with_the_provider_back() {
    let rig = Rig::scripted(json!({})).await;
    let address = silent_port().await;
    let messages = rig.put_texts(100).await;
    let node = Node::start(&rig.database.url, &format!("http://{address}"), fast()).await;
    rig.until_number("SELECT count(*) FROM channel_gates WHERE reason = 'breaker' AND closings >= 3", 1).await;
    assert_eq!(rig.number("SELECT count(*) FROM outbox WHERE due_reason <> 'claimed' AND tries > 0").await, 0);
    let settings = SandboxSettings { listen: address, ..SandboxSettings::default() };
    let provider = Sandbox::start(settings).await.expect("the port is free");
    rig.all_sent(&messages).await;
    assert_eq!(provider.ledger().len(), 100);
    rig.until_number(GATES, 0).await;
    assert!(rig.number("SELECT count(*) FROM attempts WHERE outcome = 'not_connected'").await >= 3);
    node.running.stop().await;
}

#[tokio::test]
async fn a_rate_limit_is_kept_for_as_long_as_the_provider_asks() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "1" } });
    let rig = Rig::scripted(json!({ "latencyMillis": 100, "rules": [{ "times": 10, "answer": limited }] })).await;
    let messages = rig.put_texts(100).await;
    let node = rig.node(Settings { channel_calls_max: 10, ..fast() }).await;
    rig.all_sent(&messages).await;
    rig.assert_delivered_once(&messages);
    // The first answer closes the gate; what comes later was under way.
    let answered = rig.sandbox.ledger()[0].arrival_monotonic_micros + 150_000;
    assert!(arrivals(&rig.sandbox, answered, Duration::from_millis(900)) <= 1);
    assert_eq!(rig.number("SELECT count(*) FROM attempts WHERE outcome = 'rate_limited'").await, 10);
    assert_eq!(rig.sandbox.ledger().len(), 110);
    rig.until_number(GATES, 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_late_success_does_not_open_a_gate_that_the_provider_asked_for() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "2" } });
    let rig = Rig::scripted(json!({ "latencyMillis": 100, "rules": [{ "times": 1, "answer": limited }] })).await;
    let messages = rig.put_texts(300).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    rig.until_number(GATES, 0).await;
    // By the instants of the record: when a call arrives, and when its answer is read, depends on how busy the machine is.
    let late = "SELECT count(*) FROM gate_history g, attempts a WHERE a.outcome = 'sent' AND a.started_at < g.since \
        AND a.finished_at > g.since";
    assert!(rig.number(late).await > 0, "no call was under way when the gate closed");
    let cut_short = "SELECT count(*) FROM gate_history WHERE opened_at < since + interval '2 seconds'";
    assert_eq!((rig.number("SELECT count(*) FROM gate_history").await, rig.number(cut_short).await), (1, 0));
    node.running.stop().await;
}

#[tokio::test]
async fn a_late_failure_does_not_cut_a_rate_limit_short() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "2" } });
    let failing = json!({ "kind": "framework" });
    let rules = json!([{ "times": 1, "answer": limited }, { "times": 20, "answer": failing }]);
    let rig = Rig::scripted(json!({ "latencyMillis": 100, "rules": rules })).await;
    let messages = rig.put_texts(20).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    let answered = rig.sandbox.ledger()[0].arrival_monotonic_micros + 150_000;
    assert!(arrivals(&rig.sandbox, answered, Duration::from_millis(1_800)) <= 1);
    node.running.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_and_names_a_time_is_left_alone_until_then_and_the_try_counts() {
    let busy = json!({ "kind": "status", "status": 503, "headers": { "Retry-After": "2" } });
    let rig = Rig::scripted(json!({ "rules": [{ "times": 1, "answer": busy }] })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.until_number("SELECT count(*) FROM channel_gates WHERE reason = 'breaker' AND closings = 1", 1).await;
    rig.until_number("SELECT count(*) FROM outbox WHERE tries = 1 AND due_reason = 'back_off'", 1).await;
    rig.all_sent(&messages).await;
    let arrivals = rig.arrivals(&messages);
    assert!(arrivals.len() == 2 && arrivals[1].1 - arrivals[0].1 >= 2_000_000, "{arrivals:?}");
    assert_eq!(rig.number("SELECT count(*) FROM attempts WHERE outcome = 'try_again'").await, 1);
    node.running.stop().await;
}

#[tokio::test]
async fn whoever_owns_the_channel_a_refused_key_is_probed_one_at_a_time() {
    let rig = Rig::with_key("a-wrong-key", json!({ "latencyMillis": 50 })).await;
    rig.put_texts(20).await;
    // Long enough that a restart is shorter.
    let pause = Duration::from_millis(600);
    let settings = Settings { gate: GatePolicy { credentials_probe: pause, ..fast().gate }, ..fast() };
    let mut node = rig.node(settings).await;
    rig.until_number(CREDENTIALS, 1).await;
    let first = rig.sandbox.ledger().len();
    for probes in 1..=4 {
        let other = rig.node(settings).await;
        node.running.stop().await;
        rig.sandbox.wait_for((first + probes) as u64).await;
        node = other;
    }
    node.running.stop().await;
    let arrivals: Vec<u64> = rig.sandbox.ledger().iter().map(|entry| entry.arrival_monotonic_micros).collect();
    for pair in arrivals[first - 1..].windows(2) {
        assert!(u128::from(pair[1] - pair[0]) >= pause.as_micros(), "a probe came early: {arrivals:?}");
    }
    rig.until_number(UNTRIED, 20).await;
}

#[tokio::test]
async fn while_the_probe_of_an_owner_that_died_may_be_under_way_nobody_begins_another() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "1" } });
    let rules = json!([{ "times": 1, "answer": limited }, { "times": 1, "answer": { "kind": "hang" } }]);
    let rig = Rig::scripted(json!({ "rules": rules })).await;
    let messages = rig.put_texts(1).await;
    let call_timeout = Duration::from_secs(5);
    let settings = Settings { call_timeout, ..long_leases() };
    let first = Process::start(&rig, settings).await;
    rig.until_number("SELECT count(*) FROM replicas WHERE has_presence", 1).await;
    // Its probe hangs.
    rig.sandbox.wait_for(2).await;
    let further = rig.put_texts(20).await;
    first.kill();
    let second = rig.node(settings).await;
    second.owns(1).await;
    assert_eq!(rig.number("SELECT count(*) FROM channel_gates WHERE until > clock_timestamp()").await, 1);
    rig.all_sent(&further).await;
    let arrivals: Vec<u64> = rig.sandbox.ledger().iter().map(|entry| entry.arrival_monotonic_micros).collect();
    assert!(u128::from(arrivals[2] - arrivals[1]) >= call_timeout.as_micros(), "{arrivals:?}");
    rig.until_number(GATES, 0).await;
    until("the message of the probe is sent at last", async || {
        rig.statuses(&messages).await.get(Status::Sent.as_str()) == Some(&1)
    })
    .await;
    assert_eq!(second.metrics.restraint.probes.with_label_values(&["sent"]).get(), 1);
    second.running.stop().await;
}

#[tokio::test]
async fn no_probe_begins_that_cannot_be_recorded() {
    let rig = Rig::with_key("a-wrong-key", json!({})).await;
    rig.put_texts(5).await;
    let node = rig.node(fast()).await;
    rig.until_number(CREDENTIALS, 1).await;
    rig.database
        .execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$; \
            CREATE TRIGGER full_disk BEFORE UPDATE ON channel_gates FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        .await;
    // A probe that was recorded before may be on its way.
    node.ticks(2).await;
    let (tried, calls) = (node.statements(Some("store.gate.close")), rig.sandbox.ledger().len());
    until("the gate cannot be recorded", async || node.statements(Some("store.gate.close")) > tried + 3).await;
    assert_eq!(rig.sandbox.ledger().len(), calls);
    rig.database.execute("DROP TRIGGER full_disk ON channel_gates").await;
    rig.sandbox.wait_for(calls as u64 + 3).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_gate_whose_messages_have_ended_is_opened_by_the_next_one() {
    let rig = Rig::scripted(json!({ "credentials": { "refuseAll": true } })).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.until_number(CREDENTIALS, 1).await;
    rig.database.execute("UPDATE outbox SET expires_at = clock_timestamp()").await;
    assert_eq!(rig.ended(&messages[0]).await, (Status::SendingFailed, Some(16003)));
    rig.script(json!({}));
    // With nothing to send it stays as it is.
    node.ticks(5).await;
    assert_eq!(rig.number(CREDENTIALS).await, 1);
    let next = rig.put_texts(3).await;
    rig.all_sent(&next).await;
    rig.until_number(GATES, 0).await;
    node.running.stop().await;
}

#[tokio::test]
async fn after_a_rate_limit_the_channel_comes_back_step_by_step() {
    let limited = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "1" } });
    let rig = Rig::scripted(json!({ "rules": [{ "times": 1, "answer": limited }] })).await.at_rate(100).await;
    let messages = rig.put_texts(1).await;
    let node = rig.node(fast()).await;
    rig.until_number("SELECT count(*) FROM channel_gates WHERE reason = 'rateLimit'", 1).await;
    let further = rig.put_texts(120).await;
    rig.all_sent(&messages).await;
    let probe = rig.arrivals(&messages)[1].1;
    // A tenth, and the probe itself; it is full for a second at least.
    let within = |seconds: u64| arrivals(&rig.sandbox, probe, Duration::from_millis(seconds * 1000 - 100));
    rig.all_sent(&further).await;
    assert!(within(1) <= 11 && within(2) <= 33 && within(3) <= 75, "{} {} {}", within(1), within(2), within(3));
    node.running.stop().await;
}

/// A port on which nothing listens for now.
async fn silent_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a port")
}
