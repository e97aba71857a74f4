//! Row by row: each documented or imagined answer and what it comes to.

use std::time::Duration;

use super::*;
use proptest::prelude::*;

fn answer(status: u16, body: &str) -> Transport {
    Transport::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec(), is_cut: false })
}

fn check(status: u16, body: &str, rule: &str, outcome: &str) {
    let report = classify(&answer(status, body));
    assert_eq!((report.rule, report.outcome.as_str()), (rule, outcome), "{status} {body}");
    assert_eq!(report.http_status, Some(status));
    let is_guess = rule.starts_with("unclassified") || matches!(rule, "not-found-status" | "media-type-status");
    assert_eq!(report.classified, !is_guess, "{rule}");
}

const SENT: &str = r#"{"timestamp":"2025-02-03T11:22:33.456789123","data":{"messageId":"m","waId":"wamid.1","status":"SENT","statusDesc":"Message sent successfully"},"status":"success","message":"","errors":null}"#;
const WRONG_KEY: &str = r#"{"timestamp":"2025-02-03T11:22:33.456789123","data":null,"status":"success","message":"Invalid credentials","errors":null}"#;
const FAILED: &str = r#"{"timestamp":"2025-02-03T11:22:33.456789123","data":null,"status":"error","message":"Request failed.","errors":null}"#;
const FRAMEWORK: &str = r#"{"timestamp":"2025-02-03T08:22:33.456+00:00","status":400,"error":"Bad Request","path":"/api/v1/whatsapp/message/text"}"#;

fn error(text: &str) -> String {
    format!(r#"{{"timestamp":null,"data":null,"status":"error","message":"{text}","errors":null}}"#)
}

#[test]
fn sent_is_an_answer_that_names_the_message_and_nothing_less() {
    check(200, SENT, "sent", "sent");
    check(201, r#"{"data":{"waId":"wamid.1"},"status":"success"}"#, "sent", "sent");
    check(200, r#"{"data":{"messageId":"m"},"status":"success"}"#, "sent", "sent");
    check(200, r#"{"data":{},"status":"success","message":""}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":{"messageId":"","waId":""},"status":"success"}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":{"messageId":7},"status":"success"}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":null,"status":"success","message":""}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":"m","status":"success"}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":[{"messageId":"m"}],"status":"success"}"#, "unclassified-success", "unknown");
    check(200, r#"{"data":{"messageId":"m"},"status":"SUCCESS"}"#, "unclassified-answer", "try_again");
    check(200, r#"{"data":{"messageId":"m"},"status":true}"#, "unclassified-answer", "try_again");
    check(200, r#"{"data":{"messageId":"m"}}"#, "unclassified-answer", "try_again");
    check(500, SENT, "server-error", "try_again");
    check(400, SENT, "invalid-status", "refused");
}

#[test]
fn a_refused_key_is_seen_in_all_its_forms() {
    check(200, WRONG_KEY, "credentials-body", "credentials_refused");
    check(401, WRONG_KEY, "credentials-status", "credentials_refused");
    check(403, "", "credentials-forbidden", "credentials_refused");
    check(401, FRAMEWORK, "credentials-status", "credentials_refused");
    check(200, &error("Invalid credentials"), "credentials-error", "credentials_refused");
    check(
        200,
        r#"{"status":"success","data":{},"message":"Invalid credentials"}"#,
        "credentials-body",
        "credentials_refused",
    );
    check(
        200,
        r#"{"data":null,"status":"success","message":"Invalid API key"}"#,
        "credentials-body",
        "credentials_refused",
    );
    check(200, r#"{"status":"success","message":"invalid CREDENTIALS"}"#, "credentials-body", "credentials_refused");
}

#[test]
fn known_texts_are_final_with_their_code() {
    for (text, rule, code) in [
        ("Your 24-hour sandbox session window has expired", "session-closed", FailureCode::SessionClosed),
        ("(#131047) Re-engagement message", "session-closed", FailureCode::SessionClosed),
        ("Sender 254110090747 not found", "sender-not-found", FailureCode::InvalidMessage),
        ("(#131026) Message undeliverable", "recipient", FailureCode::RecipientUnreachable),
        ("(#132001) Template name does not exist", "template", FailureCode::TemplateUnavailable),
        ("Template is paused", "template-text", FailureCode::TemplateUnavailable),
        ("(#131009) Parameter value is not valid", "invalid-text", FailureCode::InvalidMessage),
    ] {
        for status in [200, 400] {
            let report = classify(&answer(status, &error(text)));
            assert_eq!((report.rule, report.outcome), (rule, Outcome::Refused(code)), "{status} {text}");
        }
    }
}

#[test]
fn malformed_requests_are_final() {
    check(400, FRAMEWORK, "invalid-status", "refused");
    check(400, "", "invalid-status", "refused");
    check(413, "", "too-large-status", "refused");
    check(422, "{}", "unprocessable-status", "refused");
}

#[test]
fn what_fails_and_says_so_is_worth_another_try() {
    check(200, FAILED, "request-failed", "try_again");
    check(500, FAILED, "server-error", "try_again");
    check(500, WRONG_KEY, "server-error", "try_again");
    check(503, &error("Upstream host not found"), "unavailable-status", "try_again");
    check(404, "<html>", "not-found-status", "try_again");
    check(405, "", "not-found-status", "try_again");
    check(415, "", "media-type-status", "try_again");
    check(500, "", "server-error", "try_again");
    check(502, "<html>Bad Gateway</html>", "server-error", "try_again");
    check(503, "{", "unavailable-status", "try_again");
    check(599, "", "server-error", "try_again");
    check(408, "", "request-timeout", "try_again");
    check(307, "", "redirect", "try_again");
    check(200, "", "unclassified-answer", "try_again");
    check(200, "<html>", "unclassified-answer", "try_again");
    check(200, r#"{"data":{"messageId":"m""#, "unclassified-answer", "try_again");
    check(200, FRAMEWORK, "unclassified-answer", "try_again");
    check(200, "null", "unclassified-answer", "try_again");
    check(200, "[]", "unclassified-answer", "try_again");
    check(418, "", "unclassified-refusal", "try_again");
    check(200, &error("Something nobody has seen"), "unclassified-error", "try_again");
    check(200, &error("(#131056) Pair rate limit hit"), "pair-limit", "try_again");
}

#[test]
fn an_answer_that_proves_nothing_may_hide_a_part_that_was_taken() {
    let cut = Answer { status: 200, retry_after: None, body: SENT.as_bytes().to_vec(), is_cut: true };
    let mut cases = vec![
        (Transport::Answered(cut), true),
        (Transport::Broken("reset".to_owned()), true),
        (Transport::NotConnected("refused".to_owned()), false),
    ];
    for status in [408, 500, 502, 504, 507, 520, 523, 527, 599] {
        cases.push((answer(status, "<html>"), true));
        // Where the provider itself fails, its texts say nothing.
        cases.push((answer(status, FAILED), status >= 500));
    }
    for body in ["", "<html>", r#"{"data":{"messageId":"m""#, FRAMEWORK, "null", r#"{"data":{},"status":"success"}"#] {
        cases.push((answer(200, body), true));
    }
    for status in [307, 400, 401, 403, 404, 405, 409, 413, 415, 418, 422, 429, 503] {
        cases.push((answer(status, "<html>"), false));
    }
    for text in ["Request failed.", "Duplicate messageId", "(#131056) Pair rate limit hit", "Something nobody has seen"]
    {
        cases.push((answer(200, &error(text)), false));
    }
    cases.push((answer(200, SENT), false));
    cases.push((answer(200, WRONG_KEY), false));
    for (transport, expected) in cases {
        let report = classify(&transport);
        assert_eq!(report.may_be_taken, expected, "{transport:?}: {report:?}");
    }
}

#[test]
fn a_repeated_id_is_recognised() {
    check(200, &error("Duplicate messageId"), "duplicate-text", "duplicate");
    check(409, "", "duplicate-status", "duplicate");
}

#[test]
fn errors_given_as_object_or_list_are_read_too() {
    check(400, r#"{"data":null,"status":"error","message":null,"errors":{"to":"131026"}}"#, "recipient", "refused");
    check(
        200,
        r#"{"data":null,"status":"error","message":"x","errors":["Too many requests"]}"#,
        "rate-limit-text",
        "rate_limited",
    );
}

#[test]
fn the_channel_is_asked_to_wait_where_the_rate_is_limited_or_the_provider_fails() {
    let asked = Some(Duration::from_secs(5));
    for (status, body, outcome, expected) in [
        (429, String::new(), Outcome::RateLimited, asked),
        (200, error("Rate limit hit"), Outcome::RateLimited, asked),
        (503, String::new(), Outcome::TryAgain, asked),
        (502, error("Request failed."), Outcome::TryAgain, asked),
        (404, String::new(), Outcome::TryAgain, None),
        (307, String::new(), Outcome::TryAgain, None),
        (400, String::new(), Outcome::Refused(FailureCode::InvalidMessage), None),
    ] {
        let answer = Answer { status, retry_after: asked, body: body.clone().into_bytes(), is_cut: false };
        let report = classify(&Transport::Answered(answer));
        assert_eq!((report.outcome, report.retry_after), (outcome, expected), "{status} {body}");
    }
}

#[test]
fn nothing_written_is_not_connected_and_no_answer_is_unknown() {
    assert_eq!(classify(&Transport::NotConnected("refused".to_owned())).outcome, Outcome::NotConnected);
    assert_eq!(classify(&Transport::Broken("reset".to_owned())).outcome, Outcome::Unknown);
}

#[test]
fn a_body_beyond_the_bound_is_never_sent() {
    let cut = Answer { status: 200, retry_after: None, body: SENT.as_bytes().to_vec(), is_cut: true };
    assert_eq!(classify(&Transport::Answered(cut)).outcome, Outcome::TryAgain);
}

proptest! {
    #[test]
    fn any_answer_has_an_outcome_and_none_is_sent_by_chance(status in 100..=999u16, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let answer = Answer { status, retry_after: None, body, is_cut: false };
        let report = classify(&Transport::Answered(answer));
        let is_sent = matches!(report.outcome, Outcome::Sent { .. });
        prop_assert!(!is_sent);
        prop_assert!(report.detail.len() <= domain::outcome::DETAIL_BYTES_MAX);
    }
}
