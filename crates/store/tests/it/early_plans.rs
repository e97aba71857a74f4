//! Plans that are made before anything is known of the tables, and are kept: they must not be ones that grow with them.

use tokio_postgres::SimpleQueryMessage;

use crate::fixtures::{Fixture, connect};
use crate::statements::statement;

/// What runs for each message, or for many together, and the index that it may find messages along.
const HOT: [(&str, &str); 19] = [
    ("store.accept.accept", "_pkey"),
    ("store.accept.stored", "_pkey"),
    ("store.accept.first_of_keys", "_pkey"),
    ("store.accept.careful.counted", "_contact_id_message_id"),
    ("store.outbox.claim", "_pkey"),
    ("store.outbox.claim_expired", "_pkey"),
    ("store.outbox.wake_times", "_pkey"),
    ("store.settle.settle", "_pkey"),
    ("store.steer.cancel", "_pkey"),
    ("store.steer.hold", "_pkey"),
    ("store.steer.release", "_pkey"),
    ("store.steer.reschedule", "_pkey"),
    ("store.steer.standing", "_pkey"),
    ("store.steer.unsent", "_pkey"),
    ("store.replay.look", "_pkey"),
    ("store.replay.insert", "_pkey"),
    ("store.action.work.act", "_pkey"),
    ("store.action.walk.waiting", "_pkey"),
    ("store.action.walk.ended", "_channel_id_message_id"),
];
/// Its plan for an outbox that was vacuumed while it was empty reads all of it, until the next `ANALYZE`: of one row and ten
/// to look for the planner knows no better way, whatever it is told to avoid.
const EXCUSED: &str = "store.settle.settle";
/// So may those that look over many messages by hand of an operator, like the lists: of one row all indexes cost the same.
const SELDOM: &str = "store.action.";
/// Tables that grow with the messages.
const GROWING: [&str; 5] = ["messages", "message_keys", "outbox", "attempts", "contacts"];

#[tokio::test]
async fn what_is_planned_on_an_empty_database_reads_no_table_and_no_workspace_as_a_whole() {
    let f = Fixture::new().await;
    let client = connect(&f.database.url).await;
    client.batch_execute(&statement("store.connect.begin_session")).await.expect("settings");
    for vacuumed in [false, true] {
        if vacuumed {
            client.batch_execute("VACUUM ANALYZE").await.expect("vacuumed");
        }
        for (name, index) in
            HOT.into_iter().filter(|(name, _)| !vacuumed || *name != EXCUSED && !name.starts_with(SELDOM))
        {
            let plan = plan(&client, name).await;
            assert_eq!(faults(&plan, index), Vec::<&str>::new(), "{name}, vacuumed: {vacuumed}\n{}", plan.join("\n"));
            let strays =
                plan.iter().filter(|line| line.contains("Scan using outbox_") && !line.contains("outbox_pkey"));
            let is_act = ["store.steer.", "store.replay.", "store.action."].iter().any(|acts| name.starts_with(acts));
            // Of an outbox that was vacuumed while it was empty all indexes cost the same, as below.
            assert!(vacuumed || !is_act || strays.count() == 0, "{name}, vacuumed: {vacuumed}\n{}", plan.join("\n"));
        }
    }
}

#[tokio::test]
async fn the_scan_of_plans_can_fail() {
    let f = Fixture::new().await;
    let client = connect(&f.database.url).await;
    client.batch_execute("VACUUM ANALYZE").await.expect("vacuumed");
    assert!(!faults(&plan(&client, EXCUSED).await, "_pkey").is_empty());
}

/// Lines that read a growing table as a whole, or messages along another index than this.
fn faults<'a>(plan: &'a [String], index: &str) -> Vec<&'a str> {
    let is_fault = |line: &&str| {
        let grows = GROWING.iter().any(|table| line.contains(&format!(" on {table}")));
        let is_whole = line.contains("Seq Scan") && grows;
        is_whole || line.contains("Scan using messages_") && !line.contains(index)
    };
    plan.iter().map(String::as_str).filter(is_fault).collect()
}

async fn plan(client: &tokio_postgres::Client, name: &str) -> Vec<String> {
    let sql = statement(name);
    let parameters = (1..).take_while(|number| sql.contains(&format!("${number}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let explain = format!(
        "SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL; PREPARE early AS {sql}; EXPLAIN EXECUTE early ({nulls})"
    );
    let answer = client.simple_query(&explain).await.expect("a plan");
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    rows.collect()
}
