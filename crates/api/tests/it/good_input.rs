//! The legal neighbours of what is refused: taken, and shown as they were meant.

use crate::harness::Harness;
use crate::table::{placeholders, read};

const TABLES: [&str; 4] = [
    include_str!("input/good.json"),
    include_str!("input/good_quiet_hours.json"),
    include_str!("input/good_acts.json"),
    // Last: what is accepted afterwards says that it is held.
    include_str!("input/good_pauses.json"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_legal_request_is_taken_as_the_table_says() {
    let harness = Harness::start().await;
    let placeholders = placeholders(&harness).await;
    let requests: Vec<_> = TABLES.iter().flat_map(|table| read(table)).collect();
    let before = harness.rows("outbox").await;
    let mut problems = Vec::new();
    let mut stored = 0;
    for request in &requests {
        let answer = request.send(&harness, &placeholders).await;
        stored += i64::from(answer.status == 202);
        if answer.status != request.status {
            problems.push(format!("{}: {} {}", request.name, answer.status, answer.body));
            continue;
        }
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        for (pointer, value) in &request.answer {
            let expected = placeholders.fill_json(value);
            if body.pointer(pointer) != Some(&expected) {
                problems.push(format!(
                    "{}: {pointer} is {:?}, expected {expected}",
                    request.name,
                    body.pointer(pointer)
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(harness.rows("outbox").await - before, stored);
    harness.stop().await;
}
