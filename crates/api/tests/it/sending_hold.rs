//! The hold of the whole installation: told to who sends, and released by an operator.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Harness, message, text};

const HELD: &str = "sending is held until an operator releases it: the database was put back in time";

/// The gate `hold` of a plan.
fn hold(plan: &Value) -> (&Value, &Value) {
    let gates = plan["gates"].as_array().expect("gates");
    let hold = gates.iter().find(|gate| gate["gate"] == "hold").expect("the gate");
    (&hold["verdict"], &hold["setting"])
}

#[tokio::test]
async fn a_held_installation_accepts_and_says_that_it_sends_nothing_until_it_is_released() {
    let harness = Harness::start().await;
    let asked = harness.admin(Method::GET, "/sending-hold", None).await;
    assert_eq!(asked.expect(200)["held"], false);
    harness.database.execute("UPDATE installation SET held_reason = 'restored', held_since = clock_timestamp()").await;
    let asked = harness.admin(Method::GET, "/sending-hold", None).await;
    let asked = asked.expect(200);
    assert!(asked["held"] == true && asked["reason"] == "restored" && asked["since"].is_string(), "{asked}");
    let sent = harness.send(&message()).await;
    assert_eq!(sent.expect(202)["details"], HELD);
    let path = format!("{}/{}", harness.tenant.messages_path(), text(&sent.json(), "id"));
    assert_eq!(harness.get(&path).await.expect(200)["details"], HELD);
    let explained = harness.get(&format!("{path}/explain")).await.json();
    assert_eq!((hold(&explained), &explained["sendAt"]), ((&"closed".into(), &HELD.into()), &Value::Null));
    let (dry, key) = (format!("{}?dryRun=true", harness.tenant.messages_path()), harness.access_key());
    let plan =
        harness.request(Method::POST, &dry, &[("Authorization", &key)], Some(message().to_string())).await.json();
    assert!(hold(&plan) == (&"closed".into(), &HELD.into()) && plan["wouldAccept"] == true, "{plan}");
    for _ in 0..2 {
        let released = harness.admin(Method::DELETE, "/sending-hold", None).await;
        assert_eq!(released.expect(200)["held"], false);
    }
    assert_eq!(harness.get(&path).await.expect(200)["details"], "");
    let noted = "SELECT count(*) FROM audit WHERE act = 'sending.release' AND actor = 'admin-token'";
    assert_eq!(harness.database.number(noted).await, 2);
    harness.stop().await;
}
