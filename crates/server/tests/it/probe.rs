//! `tuma probe` against the sandbox in each of its ways with a repeated id.

use sandbox::{Sandbox, Script, Settings};
use serde_json::{Value, json};
use testkit::Tenant;

use crate::process::run;

const TOKEN: &str = "an-admin-token-of-tests";
/// The vault of the tests' stores has this key.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const SANDBOX: &str = "+254712345678";

struct Probing {
    database: testkit::TestDatabase,
    tenant: Tenant,
    upstream: Sandbox,
}

impl Probing {
    async fn new(script: Value) -> Self {
        let database = testkit::database().await;
        let tenant = Tenant::create(&database.store, "the-right-key").await;
        let settings = Settings { api_key: Some("the-right-key".to_owned()), ..Settings::default() };
        let upstream = Sandbox::start(settings).await.expect("a sandbox");
        let probing = Self { database, tenant, upstream };
        probing.script(script);
        probing
    }

    fn script(&self, script: Value) {
        let script = Script::parse(script.to_string().as_bytes()).expect("a script");
        self.upstream.script(script).expect("a script");
    }

    /// Exit code, what was printed, and what was complained.
    fn probe(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let (channel, url) = (self.tenant.channel.id.to_string(), self.upstream.url());
        let environment = [
            ("TUMA_DATABASE_URL", self.database.url.as_str()),
            ("TUMA_ADMIN_TOKEN", TOKEN),
            ("TUMA_SECRET_KEY", KEY),
            ("TUMA_LIPACHAT_URL", &url),
            ("TUMA_LOG", "off"),
        ];
        let done = run(&[&["probe", "--channel", &channel], more].concat(), &environment);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (done.status.code(), text(done.stdout), text(done.stderr))
    }

    async fn stored(&self, duplicates: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM channels WHERE duplicates = '{duplicates}' AND duplicates_probed_at <= clock_timestamp()"
        );
        self.database.number(&sql).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_with_a_repeated_id_is_found_with_at_most_five_calls_and_stored() {
    let probing = Probing::new(json!({})).await;
    let mut calls = 0;
    for way in ["same", "error", "second"] {
        probing.script(json!({ "duplicates": way }));
        let (code, printed, said) = probing.probe(&["--to", SANDBOX, "--json"]);
        assert_eq!(code, Some(0), "{printed}{said}");
        let printed: Value = serde_json::from_str(&printed).expect("one line of JSON");
        assert_eq!(printed["duplicates"], way, "{printed}");
        let ledger = probing.upstream.ledger();
        let made = ledger.len() - calls;
        calls = ledger.len();
        assert!(made <= 5 && printed["calls"].as_array().map(Vec::len) == Some(made), "{printed}");
        assert!(
            ledger[calls - made..].iter().all(|entry| entry.message_id.as_deref() == printed["messageId"].as_str())
        );
        assert_eq!(probing.stored(way).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_it_will_do_and_does_nothing_without_a_recipient_or_through_a_closed_gate() {
    let probing = Probing::new(json!({})).await;
    let (code, printed, said) = probing.probe(&[]);
    assert!(code == Some(2) && printed.is_empty() && said.contains("--to"), "{printed}{said}");
    let (code, printed, said) = probing.probe(&["--to", SANDBOX]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.starts_with("sends one text up to 5 times")
            && printed.contains("call 3: ")
            && printed.contains("\nsame: "),
        "{printed}"
    );
    let made = probing.upstream.ledger().len();
    probing
        .database
        .execute("INSERT INTO channel_gates (workspace_id, channel_id, reason, since, until, closings)
            SELECT workspace_id, channel_id, 'credentials', clock_timestamp(), clock_timestamp() + interval '1 minute', 1 FROM channels")
        .await;
    let (code, _, said) = probing.probe(&["--to", SANDBOX]);
    assert!(code == Some(1) && said.contains("gate is closed"), "{said}");
    assert_eq!(probing.upstream.ledger().len(), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_refused_ends_it_at_once_and_nothing_is_stored() {
    let probing = Probing::new(json!({})).await;
    let wrong = Tenant::create(&probing.database.store, "a-wrong-key").await;
    let probing = Probing { tenant: wrong, ..probing };
    let (code, _, said) = probing.probe(&["--to", SANDBOX]);
    assert!(code == Some(1) && said.contains("refuses the channel's key"), "{said}");
    assert_eq!(probing.upstream.ledger().len(), 1);
    assert_eq!(probing.database.number("SELECT count(duplicates) FROM channels").await, 0);
}
