//! With partitions by month, no statement of the path of a message or of a chore reads a month from end to end.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::fixtures::{Fixture, connect};
use crate::statements::statement;

const ROWS_A_MONTH: i64 = 10_000;
/// Statements that touch messages, keys, attempts or tags.
const STATEMENTS: [&str; 9] = [
    "store.message.get",
    "store.outbox.claim",
    "store.settle.settle",
    "store.accept.accept",
    "store.retention.overdue",
    "store.retention.remove",
    "store.retention.remove_late",
    "store.erasure.step",
    "store.key.remove",
];

#[tokio::test]
async fn no_statement_reads_a_month_from_end_to_end() {
    let f = filled().await;
    let client = connect(&f.database.url).await;
    for name in STATEMENTS {
        assert_eq!(whole_reads(&client, name).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_scan_for_whole_reads_can_fail() {
    let f = filled().await;
    f.database.execute("ALTER TABLE message_keys DROP CONSTRAINT message_keys_pkey").await;
    let client = connect(&f.database.url).await;
    assert_ne!(whole_reads(&client, "store.key.remove").await, Vec::<String>::new());
}

/// Steps of a statement's plan that read a filled table whole, whatever its values.
async fn whole_reads(client: &Client, name: &str) -> Vec<String> {
    let sql = statement(name);
    let prepared = client.prepare(&sql).await.expect(name);
    let nulls = vec!["NULL"; prepared.params().len()].join(", ");
    let run = format!(
        "SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL; PREPARE one AS {sql};
        EXPLAIN (COSTS OFF) EXECUTE one ({nulls})"
    );
    let answers = client.simple_query(&run).await.expect(name);
    let lines: Vec<&str> = answers
        .iter()
        .filter_map(|answer| if let SimpleQueryMessage::Row(row) = answer { row.get(0) } else { None })
        .collect();
    assert!(lines.len() > 1, "{name}: {lines:?}");
    let is_whole = |line: &&str| {
        let filled = ["2026_12", "2027_01", "message_keys"];
        line.contains("Seq Scan on") && filled.iter().any(|table| line.contains(table))
    };
    lines.into_iter().filter(is_whole).map(str::to_owned).collect()
}

async fn filled() -> Fixture {
    let f = Fixture::new().await;
    f.store.make_partitions("2026-12-15T12:00:00Z".parse().expect("an instant")).await.expect("made");
    fill(&f).await;
    f
}

/// Messages of two months, with attempts, tags and keys.
async fn fill(f: &Fixture) {
    let (workspace, channel) = (f.tenant.workspace, f.tenant.channel.id);
    f.database
        .execute(&format!(
            "INSERT INTO messages (workspace_id, message_id, channel_id, contact_id, recipient, body, parts, reference, tags, meta,
                expires_at, status, created_at, updated_at, last_status_at)
            SELECT '{workspace}', (lpad(to_hex(month + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, '{channel}',
                ('00000000-0000-5000-8000-' || lpad((n % 997)::text, 12, '0'))::uuid, '+254712345678', '{{}}', '[]', '',
                ARRAY['tag'], '{{}}', now(), 'delivered', now(), now(), now()
            FROM unnest('{{1796515200000,1799193600000}}'::bigint[]) AS m (month), generate_series(1, {ROWS_A_MONTH}) AS n;
            INSERT INTO message_tags (workspace_id, tag, message_id) SELECT workspace_id, 'tag', message_id FROM messages;
            INSERT INTO message_keys (workspace_id, message_key, message_id, fingerprint)
            SELECT workspace_id, 'key-' || message_id, message_id, '' FROM messages;
            INSERT INTO attempts (workspace_id, message_id, claim, part, replica_id, started_at, finished_at, outcome, rule, detail)
            SELECT workspace_id, message_id, 1, 0, workspace_id, now(), now(), 'sent', '', '' FROM messages;
            ANALYZE"
        ))
        .await;
    for month in ["2026_12", "2027_01"] {
        assert_eq!(f.rows(&format!("messages_{month}")).await, ROWS_A_MONTH);
    }
}
