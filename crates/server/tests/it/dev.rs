//! `tuma dev`.

use crate::process::{Dev, http, json_of, run, text, wait_for};

#[tokio::test]
async fn a_posted_text_reaches_the_sandbox_exactly_once_and_is_shown_as_sent() {
    let http = http();
    let dev = Dev::start(&["--ephemeral"]);
    let answer = dev.post(&http, &text("Hello Asha")).await;
    assert_eq!(answer.status(), 202);
    let accepted = json_of(answer).await;
    assert_eq!(accepted["status"], "accepted");
    let id = accepted["id"].as_str().expect("an id");
    let sent = dev.wait_for_status(&http, id, "sent").await;
    let ledger = dev.ledger(&http).await;
    assert_eq!(ledger["total"], 1, "{ledger}");
    assert_eq!(ledger["accepted"], 1, "{ledger}");
    let entry = &ledger["entries"][0];
    assert_eq!(entry["path"], "/api/v1/whatsapp/message/text");
    assert_eq!(entry["body"]["message"], "Hello Asha");
    assert_eq!(entry["body"]["to"], "254712345678");
    assert_eq!(entry["body"]["from"], "254110090747");
    assert_eq!(sent["parts"][0]["platformReference"], entry["waId"], "{sent} {entry}");
}

#[tokio::test]
async fn standard_output_is_exactly_one_line_and_nothing_is_left_running_after_an_interrupt() {
    let mut dev = Dev::start(&["--ephemeral"]);
    let port = dev.text("databaseUrl").rsplit(':').next().and_then(|rest| rest.split('/').next().map(str::to_owned));
    let address = format!("127.0.0.1:{}", port.expect("a port"));
    assert!(std::net::TcpStream::connect(&address).is_ok(), "the database listens");
    dev.process.signal("INT");
    assert!(dev.process.wait().success());
    assert_eq!(dev.remaining_output(), "");
    assert!(std::net::TcpStream::connect(&address).is_err(), "the database is gone");
}

#[tokio::test]
async fn the_database_ends_with_a_killed_parent() {
    let mut dev = Dev::start(&["--ephemeral"]);
    let address = dev
        .text("databaseUrl")
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next().map(str::to_owned))
        .expect("an address");
    dev.process.signal("KILL");
    dev.process.wait();
    wait_for(|| async { std::net::TcpStream::connect(&address).is_err().then_some(()) }).await;
}

#[tokio::test]
async fn alerts_ask_for_metrics_that_are_there() {
    const ALERTS: &str = include_str!("../../../../deploy/alerts.yml");
    let dev = Dev::start(&["--ephemeral"]);
    let metrics = http().get(dev.text("metricsUrl")).send().await.expect("an answer").text().await.expect("a text");
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let asked: Vec<&str> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr:"))
        .flat_map(|expression| expression.split(|character| !is_word(character)))
        .filter(|word| word.starts_with("tuma_"))
        .collect();
    assert!(!asked.is_empty());
    for name in asked {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[tokio::test]
async fn metrics_and_health_are_served_on_their_own_listener() {
    let http = http();
    let dev = Dev::start(&["--ephemeral"]);
    let metrics_url = dev.text("metricsUrl");
    let id = json_of(dev.post(&http, &text("Hello")).await).await["id"].as_str().expect("an id").to_owned();
    dev.wait_for_status(&http, &id, "sent").await;
    let metrics = http.get(&metrics_url).send().await.expect("an answer").text().await.expect("a text");
    for line in [
        "tuma_messages_accepted_total 1",
        "tuma_messages_settled_total{code=\"0\",status=\"sent\"} 1",
        "tuma_channels_owned 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    for path in ["healthz", "readyz"] {
        let answer = http.get(metrics_url.replace("metrics", path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[test]
fn a_second_start_on_the_same_folder_is_refused_while_the_first_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("a path");
    let _first = Dev::start(&["--data-dir", folder]);
    let second = run(&["dev", "--listen", "127.0.0.1:0", "--data-dir", folder], &[]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use"), "{said}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let refused = run(&["dev", "--ephemeral", "--listen", &address, "--lipachat-url", "http://127.0.0.1:9"], &[]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cannot listen on"), "{said}");
}
