//! The gates of a dry run: which setting keeps a message, and until when.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::acts::later;
use crate::harness::{Harness, message, text};
use crate::quiet_hours::nights;

/// Nine in the evening and eight in the morning of Nairobi.
const EVENING: &str = "2026-11-20T18:00:00Z";
const NIGHT: &str = "2026-11-20T20:00:00Z";
const MORNING: &str = "2026-11-21T05:00:00Z";

impl Harness {
    /// The plan of a request as of an instant.
    async fn plan_at(&self, at: &str, request: &Value) -> Value {
        let path = format!("{}?dryRun=true&at={at}", self.tenant.messages_path());
        self.ask(Method::POST, &path, Some(request)).await.expect(200)
    }

    /// When the plan sends, and the gate of quiet hours: verdict, until and setting.
    async fn quiet_gate_at(&self, at: &str, request: &Value) -> (Value, [Value; 3]) {
        let plan = self.plan_at(at, request).await;
        let gate = &plan["gates"][1];
        assert_eq!(gate["gate"], "quietHours");
        (plan["sendAt"].clone(), ["verdict", "until", "setting"].map(|name| gate[name].clone()))
    }
}

fn marketing() -> Value {
    let mut request = message();
    request["meta"] = json!({ "extraInformation": { "useCase": "marketing" } });
    request
}

fn gate(name: &str, verdict: &str, until: Option<&str>, setting: &str) -> Value {
    json!({ "gate": name, "verdict": verdict, "until": until, "setting": setting })
}

/// The first three, and the others of a message that nothing keeps.
fn with_the_others(mut gates: Value) -> Value {
    let others = [
        gate("hold", "open", None, "no pause"),
        gate("serviceWindow", "unknown", None, "received messages are not taken yet"),
        gate("template", "open", None, "not a template"),
        gate("breaker", "open", None, "channel gate: the provider cannot be reached or fails"),
        gate("credentials", "open", None, "channel gate: the provider refuses the key"),
        gate("channelRate", "open", None, "channel.messagesPerSecond=1000"),
        gate("workspaceShare", "open", None, "no account limit"),
        gate("recipientRate", "open", None, "channel.recipientRate: no spacing"),
        gate("backlog", "open", None, "channel.backlogMax=1000000, 0 waiting"),
    ];
    gates.as_array_mut().unwrap().extend(others);
    gates
}

#[tokio::test]
async fn the_channels_gate_and_shared_limit_are_shown() {
    let harness = Harness::start().await;
    let (workspace, channel) = (harness.tenant.workspace, harness.tenant.channel.id);
    let limited = json!({ "accountMessagesPerSecond": 200, "recipientRate": { "intervalSeconds": 6, "burst": 45 } });
    let path = format!("/workspaces/{workspace}/channels/{channel}");
    harness.admin(Method::PATCH, &path, Some(limited)).await.expect(200);
    let mut request = message();
    request.as_object_mut().unwrap().remove("body");
    request["template"] = json!({ "name": "receipt", "locale": "en" });
    for (reason, name, place) in
        [("breaker", "breaker", 6), ("credentials", "credentials", 7), ("rateLimit", "channelRate", 8)]
    {
        let close = format!(
            "DELETE FROM channel_gates; INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
            VALUES ('{workspace}', '{channel}', '{reason}', '2026-11-20T19:00:00Z', '{MORNING}', 1)"
        );
        harness.database.execute(&close).await;
        let plan = harness.plan_at(NIGHT, &request).await;
        let closed: Vec<&Value> =
            plan["gates"].as_array().unwrap().iter().filter(|gate| gate["verdict"] == "closed").collect();
        assert_eq!(closed, [&plan["gates"][place]], "{reason}");
        assert_eq!((&closed[0]["gate"], &closed[0]["until"]), (&json!(name), &json!(MORNING)));
        assert_eq!(plan["sendAt"], MORNING, "nothing goes before the gate opens");
        assert_eq!(plan["gates"][4], gate("serviceWindow", "open", None, "not needed: a template"));
        assert_eq!(plan["gates"][5], gate("template", "unknown", None, "templates are not known yet"));
        let share = "channel.accountMessagesPerSecond=200, workspace.weight=1";
        assert_eq!(plan["gates"][9], gate("workspaceShare", "open", None, share));
        let pace = "channel.recipientRate=1 per 6 s, burst 45";
        assert_eq!(plan["gates"][10], gate("recipientRate", "open", None, pace));
    }
    // When its time has passed a probe goes.
    for (reason, place) in [("breaker", 6), ("credentials", 7), ("rateLimit", 8)] {
        harness.database.execute(&format!("UPDATE channel_gates SET reason = '{reason}'")).await;
        let gate = &harness.plan_at(MORNING, &request).await["gates"][place];
        assert_eq!((&gate["verdict"], &gate["until"]), (&json!("open"), &Value::Null), "{reason}");
        let setting = gate["setting"].as_str().unwrap();
        assert!(setting.ends_with("; the next message goes alone, as a probe"), "{setting}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn without_quiet_hours_a_message_passes_all_gates_at_its_own_time() {
    let harness = Harness::start().await;
    let mut plan = harness.plan_at(NIGHT, &message()).await;
    let gates = json!([
        gate("schedule", "open", None, "scheduledFor"),
        gate("quietHours", "open", None, "quietHours are not set"),
        gate("validity", "open", None, "channel.messageType=transactional, validity=129600"),
    ]);
    assert_eq!((plan["sendAt"].take(), plan["gates"].take()), (json!(NIGHT), with_the_others(gates)));
    let mut request = message();
    request["scheduledFor"] = json!(MORNING);
    request["validity"] = json!(600);
    let plan = harness.plan_at(NIGHT, &request).await;
    assert_eq!(plan["sendAt"], MORNING);
    assert_eq!(plan["gates"][0], gate("schedule", "closed", Some(MORNING), "scheduledFor"));
    assert_eq!(plan["gates"][2], gate("validity", "open", None, "validity=600"));
    harness.stop().await;
}

#[tokio::test]
async fn quiet_hours_hold_from_their_first_instant_until_their_end() {
    let harness = Harness::start().await;
    harness.put(&harness.workspace_quiet_hours(), &nights()).await;
    let held = [json!("closed"), json!(MORNING), json!("workspace.quietHours windows[0], zone Africa/Nairobi")];
    let open = [json!("open"), Value::Null, json!("workspace.quietHours, zone Africa/Nairobi")];
    let (just_before, just_before_end) = ("2026-11-20T17:59:59.999Z", "2026-11-21T04:59:59.999Z");
    for (at, send_at, expected) in [
        (just_before, just_before, &open),
        (EVENING, MORNING, &held),
        (NIGHT, MORNING, &held),
        (just_before_end, MORNING, &held),
        (MORNING, MORNING, &open),
    ] {
        assert_eq!(harness.quiet_gate_at(at, &marketing()).await, (json!(send_at), expected.clone()), "{at}");
    }
    // What counts is the time that the message asks for.
    let mut scheduled = marketing();
    scheduled["scheduledFor"] = json!(NIGHT);
    assert_eq!(harness.quiet_gate_at(just_before, &scheduled).await, (json!(MORNING), held.clone()));
    scheduled["scheduledFor"] = json!(MORNING);
    assert_eq!(harness.quiet_gate_at(NIGHT, &scheduled).await, (json!(MORNING), open));
    harness.stop().await;
}

#[tokio::test]
async fn the_setting_that_decides_is_named() {
    let harness = Harness::start().await;
    let (whole, own) = (harness.workspace_quiet_hours(), harness.channel_quiet_hours());
    harness.put(&whole, &nights()).await;
    let open = |setting: &str| (json!(NIGHT), [json!("open"), Value::Null, json!(setting)]);
    let mut ignoring = marketing();
    ignoring["ignoreQuietHours"] = json!(true);
    assert_eq!(harness.quiet_gate_at(NIGHT, &ignoring).await, open("ignoreQuietHours=true"));
    let expected = open("workspace.quietHours appliesTo is without transactional");
    assert_eq!(harness.quiet_gate_at(NIGHT, &message()).await, expected);
    let mut quiet_hours = json!({ "timeZone": "UTC", "windows": [], "holidays": ["2026-11-19", "2026-11-20"] });
    harness.put(&own, &quiet_hours).await;
    let until = json!("2026-11-21T00:00:00Z");
    let setting = json!("channel.quietHours holidays[1], zone UTC");
    let expected = (until.clone(), [json!("closed"), until, setting]);
    assert_eq!(harness.quiet_gate_at(NIGHT, &marketing()).await, expected);
    quiet_hours["enabled"] = json!(false);
    harness.put(&own, &quiet_hours).await;
    assert_eq!(harness.quiet_gate_at(NIGHT, &marketing()).await, open("channel.quietHours enabled=false"));
    harness.stop().await;
}

#[tokio::test]
async fn the_recipients_wall_clock_counts_where_it_is_asked_for() {
    let harness = Harness::start().await;
    let mut quiet_hours = nights();
    quiet_hours["recipientTimeZone"] = json!(true);
    harness.put(&harness.workspace_quiet_hours(), &quiet_hours).await;
    for (number, at, send_at, setting) in [
        ("+254712345678", NIGHT, MORNING, "workspace.quietHours windows[0], zone Africa/Nairobi"),
        ("+81312345678", NIGHT, "2026-11-20T23:00:00Z", "workspace.quietHours windows[0], zone Asia/Tokyo"),
        ("+442079460000", NIGHT, NIGHT, "workspace.quietHours, zone Europe/London"),
        (
            "+442079460000",
            "2026-11-20T21:00:00Z",
            "2026-11-21T08:00:00Z",
            "workspace.quietHours windows[0], zone Europe/London",
        ),
    ] {
        let mut request = marketing();
        request["receiver"]["contacts"][0]["identifierValue"] = json!(number);
        let (planned, [_, _, shown]) = harness.quiet_gate_at(at, &request).await;
        assert_eq!((planned, shown), (json!(send_at), json!(setting)), "{number} at {at}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn what_cannot_go_in_time_would_be_accepted_and_never_sent() {
    let harness = Harness::start().await;
    harness.put(&harness.workspace_quiet_hours(), &nights()).await;
    let mut request = marketing();
    request["validity"] = json!(3600);
    let plan = harness.plan_at(NIGHT, &request).await;
    assert_eq!((&plan["wouldAccept"], &plan["violations"]), (&json!(true), &json!({})));
    assert_eq!((&plan["sendAt"], text(&plan, "expiresAt").as_str()), (&Value::Null, "2026-11-20T21:00:00Z"));
    assert_eq!(plan["lipachatCalls"], json!([]));
    let gates = json!([
        gate("schedule", "open", None, "scheduledFor"),
        gate("quietHours", "closed", Some(MORNING), "workspace.quietHours windows[0], zone Africa/Nairobi"),
        gate("validity", "closed", None, "validity=3600"),
    ]);
    assert_eq!(plan["gates"], with_the_others(gates));
    // The end of validity is past it, a second before is not.
    for (validity, send_at) in [(3600, Value::Null), (3601, json!(MORNING))] {
        request["validity"] = json!(validity);
        assert_eq!(harness.plan_at("2026-11-21T04:00:00Z", &request).await["sendAt"], send_at, "{validity}");
    }
    assert_eq!(harness.rows("messages").await, 0);
    harness.stop().await;
}

#[tokio::test]
async fn nothing_that_waits_goes_while_the_workspace_is_paused() {
    let harness = Harness::start().await;
    let pauses = format!("/workspaces/{}/pauses", harness.tenant.workspace);
    harness.change_channel(json!({ "messagesPerSecond": 10 })).await;
    // A hundred seconds' worth.
    harness.fill(1, 1_000).await;
    let until = later(harness.database.store.now(), 3_600);
    let mut tagged = message();
    tagged["tags"] = json!(["promo"]);
    let mut scheduled = message();
    scheduled["scheduledFor"] = json!(later(until, 10).to_string());
    let (at_once, behind_them) = (0..1, 100..110);
    for (scope, request, after) in [
        (json!({ "scope": "tag", "tag": "promo" }), &tagged, &at_once),
        (json!({ "scope": "workspace" }), &message(), &behind_them),
        (json!({ "scope": "workspace" }), &scheduled, &behind_them),
        (json!({ "scope": "workspace" }), &tagged, &behind_them),
    ] {
        harness.database.execute("UPDATE pauses SET ended_at = now() WHERE scope <> 'tag'").await;
        let mut pause = scope.clone();
        pause["reason"] = json!("the offer is wrong");
        pause["until"] = json!(until.to_string());
        harness.ask(Method::POST, &pauses, Some(&pause)).await.expect(201);
        let path = format!("{}?dryRun=true", harness.tenant.messages_path());
        let plan = harness.ask(Method::POST, &path, Some(request)).await.expect(200);
        let send_at: Timestamp = plan["sendAt"].as_str().expect("it goes").parse().expect("an instant");
        let seconds = send_at.duration_since(until).as_secs();
        assert!(after.contains(&seconds), "{scope}: {seconds} of {after:?}: {plan}");
    }
    harness.stop().await;
}
