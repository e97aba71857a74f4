//! The journal: what it says, and what a later sandbox knows from it.

use std::path::{Path, PathBuf};

use sandbox::{Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::{Client, FROM, KEY, text_body};

/// A file of this test alone, which is not there yet.
fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tuma-sandbox-{}-{name}.jsonl", std::process::id()));
    drop(std::fs::remove_file(&path));
    path
}

async fn start(journal: &Path) -> Client {
    let settings = Settings { journal: Some(journal.to_owned()), ..Settings::default() };
    Client::with(Settings { api_key: Some(KEY.to_owned()), numbers: vec![FROM.to_owned()], ..settings }).await
}

fn lines(journal: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(journal).expect("a journal");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn events(journal: &Path) -> Vec<String> {
    lines(journal).iter().map(|line| line["event"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_request_and_its_end_are_a_line_each() {
    let journal = file("lines");
    let client = start(&journal).await;
    client.text("m-1").await;
    client.post_with_key(Some("wrong"), &text_body("m-2")).await;
    client.sandbox.stop().await;
    assert_eq!(events(&journal), ["started", "arrived", "ended", "arrived", "ended"]);
    let all = lines(&journal);
    assert_eq!(
        (&all[1]["messageId"], &all[1]["accepted"], &all[1]["from"]),
        (&json!("m-1"), &json!(true), &json!(FROM))
    );
    assert_eq!((&all[3]["outcome"], &all[3]["accepted"]), (&json!("invalidCredentials"), &json!(false)));
    assert_eq!(all[1]["bodyHash"].as_str().map(str::len), Some(64));
    assert_ne!(all[1]["bodyHash"], all[3]["bodyHash"]);
    assert!(all[2]["micros"].as_u64() >= all[1]["micros"].as_u64(), "{all:?}");
    assert_eq!(all[2]["seq"], all[1]["seq"]);
    std::fs::remove_file(journal).expect("removed");
}

#[tokio::test]
async fn a_sandbox_knows_what_an_earlier_one_delivered_even_behind_a_line_that_was_cut() {
    let journal = file("restart");
    let client = start(&journal).await;
    let first = client.text("m-1").await.json();
    client.sandbox.stop().await;
    let whole = std::fs::read_to_string(&journal).expect("a journal");
    std::fs::write(&journal, format!("{whole}{{\"event\":\"arr")).expect("written");
    let client = start(&journal).await;
    let second = client.text("m-1").await.json();
    assert_eq!(first["data"], second["data"]);
    client.text("m-2").await;
    client.sandbox.stop().await;
    let accepted: Vec<bool> = lines(&journal).iter().filter_map(|line| line["accepted"].as_bool()).collect();
    assert_eq!(accepted, [true, false, true]);
    std::fs::remove_file(journal).expect("removed");
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_is_told_at_the_start() {
    let settings = Settings { journal: Some(std::env::temp_dir()), ..Settings::default() };
    let error = Sandbox::start(settings).await.expect_err("a folder is no file");
    assert!(error.to_string().contains("journal"), "{error}");
}
