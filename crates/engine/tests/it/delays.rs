//! What a message's time was spent for, from what the engine records on the way: it sums exactly to accept → send.

use domain::event::Event;
use domain::gate::GatePolicy;
use domain::message::Lane;
use domain::schedule::DueReason;
use domain::spacing::RecipientRate;
use domain::timeline::{Cause, Delays, Story, Wait};
use engine::Settings;
use jiff::Timestamp;
use serde_json::json;
use store::accept::NewMessage;
use store::channel::ChannelSettings;
use store::explain::{Asked, Told};

use crate::messages::{after, to};
use crate::rig::{Rig, fast};
use crate::wait::until;

const RECIPIENT: &str = "+254712345678";

impl Rig {
    async fn told(&self, message: &NewMessage) -> Told {
        let (workspace, channel) = (self.tenant.workspace, self.tenant.channel.id);
        let (from, until) = (message.created_at, self.store().now());
        let asked = Asked { workspace, channel, message: message.id, tags: &[], from, until };
        self.store().told(&asked).await.expect("the database runs")
    }

    /// What the time of a message was spent for until its last call ended; it sums to that time.
    async fn delays(&self, message: &NewMessage) -> Delays {
        let Told { attempts, events, closed } = self.told(message).await;
        let ends_at = attempts.last().expect("it was called for").finished_at;
        let story = Story { accepted_at: message.created_at, ends_at, attempts, events, waits: None, closed };
        let delays = story.delays();
        assert_eq!(delays.sum(), ends_at.as_millisecond() - message.created_at.as_millisecond(), "{story:?}");
        delays
    }
}

/// As the database keeps it.
fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).expect("in range")
}

#[tokio::test]
async fn quiet_hours_and_tries_that_failed_have_their_part_of_the_time() {
    let rig = Rig::scripted(json!({ "rules": [{ "times": 2, "answer": { "kind": "framework" } }] })).await;
    let now = rig.store().now();
    // Quiet hours held it for six of its ten seconds.
    let (created_at, due_at) = (after(now, -10_000), after(now, -4_000));
    let message = NewMessage { created_at, due_at, due_reason: DueReason::QuietHours, ..rig.message("held") };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    rig.all_sent(std::slice::from_ref(&message)).await;
    let told = rig.told(&message).await;
    let waited: Vec<_> = told.attempts.iter().filter_map(|attempt| attempt.waited).collect();
    assert_eq!(waited[0], Wait { reason: DueReason::QuietHours, until: kept(due_at) });
    assert_eq!(waited[1..].iter().map(|wait| wait.reason).collect::<Vec<_>>(), [DueReason::BackOff; 2]);
    let delays = rig.delays(&message).await;
    assert_eq!(delays.of(Cause::QuietHours), due_at.as_millisecond() - created_at.as_millisecond());
    assert!(delays.of(Cause::Queue) >= 3_999, "it was due for so long before there was a node: {delays:?}");
    node.running.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_recipient_is_put_off_once_and_says_for_how_long() {
    let mut rig = Rig::scripted(json!({})).await;
    let recipient_rate = RecipientRate { interval_seconds: 1, burst: 1 };
    let settings = ChannelSettings { recipient_rate, ..rig.tenant.channel.settings.clone() };
    rig.change_channel(&settings, None).await;
    let now = rig.store().now();
    let messages: Vec<NewMessage> = (0..2).map(|_| to(&rig.tenant, now, RECIPIENT, &["to one"])).collect();
    rig.put(&messages).await;
    let node = rig.node(fast()).await;
    rig.all_sent(&messages).await;
    let told = rig.told(&messages[1]).await;
    let [event] = &told.events[..] else { panic!("{told:?}") };
    let waits = event.waits.expect("it waits from then on");
    assert_eq!((event.event, waits.reason), (Event::PutOff, DueReason::Recipient));
    assert_eq!(event.waited, Some(Wait { reason: DueReason::Requested, until: kept(now) }));
    assert_eq!(told.attempts[0].waited, Some(waits), "the call ended that wait");
    let delays = rig.delays(&messages[1]).await;
    assert_eq!(delays.of(Cause::RecipientRate), waits.until.as_millisecond() - event.at.as_millisecond());
    assert_eq!(rig.told(&messages[0]).await.events, []);
    rig.delays(&messages[0]).await;
    node.running.stop().await;
}

#[tokio::test]
async fn a_gate_that_was_closed_has_its_part_of_the_time_and_giving_back_is_no_event() {
    let rig = Rig::scripted(json!({ "rules": [{ "times": 3, "answer": { "kind": "framework" } }] })).await;
    let message = rig.message("behind a breaker");
    rig.put(std::slice::from_ref(&message)).await;
    // The first failure closes it.
    let settings = Settings { gate: GatePolicy { troubles_max: 1, ..fast().gate }, ..fast() };
    let node = rig.node(settings).await;
    rig.all_sent(std::slice::from_ref(&message)).await;
    until("its opening is recorded", async || rig.number("SELECT count(*) FROM channel_gates").await == 0).await;
    assert!(rig.number("SELECT count(*) FROM gate_history WHERE reason = 'breaker'").await >= 1);
    let delays = rig.delays(&message).await;
    assert!(delays.of(Cause::BackOff) + delays.of(Cause::Breaker) > 0, "{delays:?}");
    assert!(delays.of(Cause::Breaker) > 0, "the gate is closed for longer than a try waits: {delays:?}");
    node.running.stop().await;
}

#[tokio::test]
async fn the_parts_of_a_message_wait_for_nothing_but_the_queue() {
    let rig = Rig::scripted(json!({ "latencyMillis": 20 })).await;
    let message =
        NewMessage { lane: Lane::Bulk, ..crate::messages::of_parts(&rig.tenant, rig.store().now(), &["a", "b"]) };
    rig.put(std::slice::from_ref(&message)).await;
    let node = rig.node(fast()).await;
    rig.all_sent(std::slice::from_ref(&message)).await;
    let delays = rig.delays(&message).await;
    assert_eq!(delays.of(Cause::Queue) + delays.of(Cause::Provider), delays.sum());
    assert!(delays.of(Cause::Provider) >= 38, "two calls: {delays:?}");
    node.running.stop().await;
}
