//! A database that cannot store: whoever sends hears it in time, and that repeating is safe.

use std::time::Duration;

use serde_json::json;
use store::connect::Database;

use crate::harness::{Answer, Harness, message};

/// Two seconds are promised, a statement may take five.
const IN_TIME: Duration = Duration::from_secs(4);

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text);
    assert_eq!(answer.json()["code"], json!("Unavailable"), "{what}");
    assert!(answer.headers.contains_key("retry-after"), "{what}");
}

#[tokio::test]
async fn whatever_keeps_the_database_from_storing_is_a_503_and_nothing_is_stored() {
    let harness = Harness::start().await;
    for code in ["53100", "53200", "53300", "25006", "57014", "57P01", "57P03", "58030"] {
        let failing = format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '{code}'; END $$; \
            CREATE TRIGGER fail BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION fail()"
        );
        harness.database.execute(&failing).await;
        assert_unavailable(&harness.send(&message()).await, code);
        assert_eq!(harness.rows("messages").await, 0, "{code}");
        harness.database.execute("DROP TRIGGER fail ON outbox").await;
    }
    assert_eq!(harness.send(&message()).await.status, 202);
    harness.stop().await;
}

#[tokio::test]
async fn a_database_that_keeps_us_waiting_is_not_waited_for() {
    let harness = Harness::start().await;
    let database = Database::parse(&harness.database.url).expect("our own address");
    let holder = database.connect().await.expect("the cluster runs");
    // What a request is checked by, and what it is stored in.
    for table in ["access_keys", "channels", "workspaces", "messages"] {
        let replica = harness.start_replica().await;
        let before = harness.rows("messages").await;
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {table}")).await.expect("locked");
        let message = message();
        let sending = [&replica, &replica].map(|replica| harness.send_to(replica, &message));
        let answers = tokio::time::timeout(IN_TIME, futures_util::future::join_all(sending)).await;
        for answer in answers.unwrap_or_else(|_| panic!("{table}: no answer in time")) {
            assert_unavailable(&answer, table);
        }
        holder.batch_execute("ROLLBACK").await.expect("unlocked");
        // Nobody waits behind what was given up.
        let answer = tokio::time::timeout(IN_TIME, harness.send_to(&replica, &message)).await;
        assert_eq!(answer.expect("an answer in time").status, 202, "{table}");
        // What nobody waited for may have been stored all the same, and the answer said so.
        assert!(harness.rows("messages").await > before);
        replica.stop().await;
    }
    harness.stop().await;
}
