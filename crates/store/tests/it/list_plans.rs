//! Lists of messages on a table of some size: each is walked along its own index, and never along the table.

use serde_json::Value;
use store::list::{Driver, Order};
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use crate::fixtures::{Fixture, connect};

const ROWS: i64 = 20_000;
/// One row in so many waits.
const WAITING_ONE_IN: i64 = 4;
/// One row in so many has ended with an unknown outcome.
const UNKNOWN_ONE_IN: i64 = 7;
const CONTACT: &str = "00000000-0000-5000-8000-000000000007";
const BATCH: &str = "00000000-0000-4000-8000-000000000007";

#[tokio::test]
async fn every_list_is_walked_along_its_own_index() {
    let f = Fixture::new().await;
    fill(&f).await;
    let client = connect(&f.database.url).await;
    for driver in Driver::ALL {
        let index = index_of(&client, driver).await;
        for order in Order::ALL {
            for mode in ["force_generic_plan", "force_custom_plan"] {
                for rows in [11, 1_000] {
                    let plan = explain(&client, &f, driver, order, mode, rows).await;
                    let case = format!("{driver:?}, {order:?}, {mode}, {rows} rows:\n{plan:#}");
                    let mut nodes = Vec::new();
                    flatten(&plan[0]["Plan"], &mut nodes);
                    assert!(nodes.iter().all(|node| node["Node Type"] != "Seq Scan"), "{case}");
                    let looked: Vec<&Value> = looked(&nodes, &case);
                    assert!(looked.iter().any(|node| node["Index Name"] == index.as_str()), "not {index}: {case}");
                    let is_sort = |node: &&Value| node["Node Type"].as_str().is_some_and(|kind| kind.contains("Sort"));
                    // Values for which the statistics know of fewer rows than the round may look at are read whole.
                    let may_sort = driver == Driver::Key || mode == "force_custom_plan" && rows == 1_000;
                    // Of what is unknown two lists are put together, each as long as the round at the most.
                    let sorts_most = usize::from(driver == Driver::Unknown);
                    assert!(
                        may_sort || looked.iter().filter(|node| is_sort(node)).count() <= sorts_most,
                        "all rows are read before the first is known: {case}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn the_scan_for_missing_indexes_can_fail() {
    let f = Fixture::new().await;
    fill(&f).await;
    f.database.execute("DROP INDEX messages_contact").await;
    let client = connect(&f.database.url).await;
    let plan = explain(&client, &f, Driver::Contact, Order::NewestFirst, "force_custom_plan", 1_000).await;
    let mut nodes = Vec::new();
    flatten(&plan[0]["Plan"], &mut nodes);
    let named = nodes.iter().any(|node| node["Index Name"].as_str().is_some_and(|name| name.contains("contact")));
    assert!(!named, "{plan:#}");
}

/// Messages of two workspaces and four channels, in no order, a quarter of them waiting.
async fn fill(f: &Fixture) {
    let (workspace, channel) = (f.tenant.workspace, f.tenant.channel.id);
    let other = Uuid::new_v4();
    f.database
        .execute(&format!(
            "INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference, tags, meta,
                expires_at, status, created_at, updated_at, last_status_at, batch_id, failure_code)
            SELECT CASE WHEN n % 2 = 0 THEN '{workspace}' ELSE '{other}' END::uuid,
                (lpad(to_hex(1767225600000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
                CASE WHEN n % 8 < 2 THEN '{channel}'::uuid ELSE md5((n % 8)::text)::uuid END,
                ('00000000-0000-5000-8000-' || lpad((n % 97)::text, 12, '0'))::uuid, '+254712345678',
                '{{}}', '[]', CASE WHEN n % 3 = 0 THEN '' ELSE 'order-' || n % 991 END, ARRAY['tag-' || n % 20], '{{}}',
                now(), CASE WHEN n % {WAITING_ONE_IN} = 0 THEN 'waiting' ELSE 'delivered' END, now(), now(), now(),
                ('00000000-0000-4000-8000-' || lpad((n % 211)::text, 12, '0'))::uuid,
                CASE WHEN n % {UNKNOWN_ONE_IN} = 1 THEN 16002 WHEN n % {UNKNOWN_ONE_IN} = 2 THEN 16001 END
            FROM generate_series(1, {ROWS}) AS n ORDER BY md5(n::text);
            INSERT INTO message_tags (workspace_id, tag, message_id) SELECT workspace_id, unnest(tags), message_id FROM messages;
            INSERT INTO message_keys (workspace_id, message_key, message_id, fingerprint)
            SELECT workspace_id, 'key-' || message_id, message_id, '' FROM messages;
            INSERT INTO outbox (workspace_id, message_id, channel_id, lane, due_at, due_reason, expires_at, maybe_sent)
            SELECT workspace_id, message_id, channel_id, 1, now(), 'requested', now(), hashtext(message_id::text) % 5 = 0 FROM messages WHERE status = 'waiting';
            ANALYZE messages; ANALYZE message_tags; ANALYZE message_keys; ANALYZE outbox;"
        ))
        .await;
}

/// The index of a driver; of a partitioned one, that of its one partition.
async fn index_of(client: &Client, driver: Driver) -> String {
    let index = match driver {
        Driver::Key => return "message_keys_pkey".to_owned(),
        Driver::Unknown => "messages_unknown",
        Driver::Batch => "messages_batch",
        Driver::Reference => "messages_reference",
        Driver::Contact => "messages_contact",
        Driver::Tag => "message_tags_pkey",
        Driver::Channel => "messages_channel",
        Driver::Workspace => "messages_pkey",
    };
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass";
    client.query_one(sql, &[&index]).await.expect("an index with one partition").get(0)
}

/// The plan of a statement, with values or without.
async fn explain(client: &Client, f: &Fixture, driver: Driver, order: Order, mode: &str, rows: i64) -> Value {
    let (workspace, channel) = (f.tenant.workspace, f.tenant.channel.id);
    let of = |driven: Driver, value: &str| if driven == driver { format!("'{value}'") } else { "NULL".to_owned() };
    let tags = if driver == Driver::Tag { "{tag-4,tag-5}" } else { "{}" };
    let channel = of(Driver::Channel, &channel.to_string());
    let contact = of(Driver::Contact, CONTACT);
    let batch = of(Driver::Batch, BATCH);
    let reference = of(Driver::Reference, "order-7");
    let key = if driver == Driver::Key { ", 'key-7'" } else { "" };
    let sql = driver.statement(order);
    let run = format!(
        "SET plan_cache_mode = {mode}; DEALLOCATE ALL; PREPARE list AS {sql};
        EXPLAIN (FORMAT JSON) EXECUTE list ('{workspace}', {channel}, {contact}, {batch}, {reference}, '{tags}', NULL,
            '{{accepted,sent}}', now(), '{}', '{}', {rows}, 11{key})",
        Uuid::nil(),
        Uuid::max()
    );
    let answers = client.simple_query(&run).await.expect("a plan");
    let text =
        answers.iter().find_map(|answer| if let SimpleQueryMessage::Row(row) = answer { row.get(0) } else { None });
    serde_json::from_str(text.expect("a plan")).expect("a plan is JSON")
}

/// A plan's nodes, each before its children.
fn flatten<'a>(node: &'a Value, nodes: &mut Vec<&'a Value>) {
    nodes.push(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        flatten(child, nodes);
    }
}

/// The nodes that walk the rows to look at.
fn looked<'a>(nodes: &[&'a Value], case: &str) -> Vec<&'a Value> {
    let root = nodes.iter().find(|node| node["Subplan Name"] == "CTE looked").unwrap_or_else(|| panic!("{case}"));
    let mut looked = Vec::new();
    flatten(root, &mut looked);
    looked
}
