//! What answers come to, from the wire to the outcome, and that each call is one request.

use std::time::Duration;

use domain::failure::FailureCode;
use domain::outcome::{DETAIL_BYTES_MAX, Outcome, Report};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::rig::{KEY, PATIENCE, Rig, call, part};

/// Calls once, and checks what it came to and that it was one request.
async fn check(answer: Value, rule: &str, outcome: Outcome, http_status: u16) -> Report {
    let rig = Rig::answering(answer.clone()).await;
    let report = rig.call().await;
    assert_eq!((report.rule, &report.outcome, report.http_status), (rule, &outcome, Some(http_status)), "{answer}");
    let is_guess = rule.starts_with("unclassified") || matches!(rule, "not-found-status" | "media-type-status");
    assert_eq!(report.classified, !is_guess, "{answer}");
    assert_eq!(rig.requests(), 1, "{answer}");
    assert!(!format!("{report:?}").contains(KEY), "{report:?}");
    report
}

#[tokio::test]
async fn a_sent_message_comes_back_with_both_ids() {
    let rig = Rig::scripted(json!({})).await;
    let part = part("Hello Asha");
    let report = call(&rig.provider, &rig.key, &part, PATIENCE).await;
    let [entry] = &rig.sandbox.ledger()[..] else { panic!("one request") };
    assert!(entry.accepted);
    assert_eq!(report.outcome, Outcome::Sent { message_id: Some(part.id.to_string()), wa_id: entry.wa_id.clone() });
    assert_eq!((report.rule, report.http_status, report.classified), ("sent", Some(200), true));
    assert!(entry.wa_id.as_ref().is_some_and(|id| id.starts_with("wamid.")));
}

#[tokio::test]
async fn an_id_of_the_providers_own_is_taken_as_it_comes() {
    let rig = Rig::scripted(json!({ "messageIdAnswer": "other" })).await;
    let part = part("Hello Asha");
    let report = call(&rig.provider, &rig.key, &part, PATIENCE).await;
    let Outcome::Sent { message_id: Some(id), wa_id: Some(_) } = report.outcome else { panic!("{report:?}") };
    assert_ne!(id, part.id.to_string());
}

#[tokio::test]
async fn the_request_is_the_documented_sample() {
    let rig = Rig::scripted(json!({})).await;
    let part = part("Hello Asha \u{1f30d}\n\"quoted\"");
    call(&rig.provider, &rig.key, &part, PATIENCE).await;
    let [entry] = &rig.sandbox.ledger()[..] else { panic!("one request") };
    assert_eq!((entry.method.as_str(), entry.path.as_str()), ("POST", "/api/v1/whatsapp/message/text"));
    assert_eq!((entry.query.as_deref(), entry.api_key.as_deref()), (None, Some(KEY)));
    let expected = json!({
        "message": "Hello Asha \u{1f30d}\n\"quoted\"", "messageId": part.id.to_string(),
        "to": "254700000000", "from": "254110090747"
    });
    assert_eq!(entry.body, Some(expected));
}

#[tokio::test]
async fn a_wrong_key_is_a_refused_key_in_all_its_forms() {
    for (form, rule, http_status) in [
        ("ok200", "credentials-body", 200),
        ("unauthorized401", "credentials-status", 401),
        ("framework401", "credentials-status", 401),
    ] {
        let rig = Rig::scripted(json!({ "credentials": { "wrongKeyAnswer": form } })).await.with_key("QzX9-another");
        let report = rig.call().await;
        assert_eq!((report.outcome.clone(), report.rule), (Outcome::CredentialsRefused, rule), "{form}");
        assert_eq!((report.http_status, rig.requests()), (Some(http_status), 1), "{form}");
        assert!(!format!("{report:?}").contains("QzX9-another"), "{report:?}");
    }
}

#[tokio::test]
async fn texts_of_business_errors_decide() {
    let refused = Outcome::Refused;
    for (text, rule, outcome) in [
        ("Request failed.", "request-failed", Outcome::TryAgain),
        ("Invalid credentials", "credentials-error", Outcome::CredentialsRefused),
        ("Sender 254110090747 not found", "sender-not-found", refused(FailureCode::InvalidMessage)),
        ("The recipient is outside the 24-hour session window", "session-closed", refused(FailureCode::SessionClosed)),
        ("(#131026) Message undeliverable", "recipient", refused(FailureCode::RecipientUnreachable)),
        ("(#132001) Template name does not exist", "template", refused(FailureCode::TemplateUnavailable)),
        ("(#131009) Parameter value is not valid", "invalid-text", refused(FailureCode::InvalidMessage)),
        ("(#130429) Rate limit hit", "rate-limit-text", Outcome::RateLimited),
        ("(#131056) Pair rate limit hit", "pair-limit", Outcome::TryAgain),
        ("Duplicate messageId", "duplicate-text", Outcome::Duplicate),
        ("Something nobody has seen", "unclassified-error", Outcome::TryAgain),
    ] {
        let report = check(json!({ "kind": "envelopeError", "message": text }), rule, outcome, 200).await;
        assert_eq!(report.detail, text, "{text}");
    }
}

#[tokio::test]
async fn statuses_of_the_framework_decide_where_no_text_does() {
    let refused = Outcome::Refused(FailureCode::InvalidMessage);
    for (status, rule, outcome) in [
        (400, "invalid-status", refused.clone()),
        (401, "credentials-status", Outcome::CredentialsRefused),
        (403, "credentials-forbidden", Outcome::CredentialsRefused),
        (404, "not-found-status", Outcome::TryAgain),
        (405, "not-found-status", Outcome::TryAgain),
        (408, "request-timeout", Outcome::TryAgain),
        (413, "too-large-status", refused.clone()),
        (415, "media-type-status", Outcome::TryAgain),
        (422, "unprocessable-status", refused),
        (429, "rate-limit-status", Outcome::RateLimited),
        (500, "server-error", Outcome::TryAgain),
        (503, "unavailable-status", Outcome::TryAgain),
        (418, "unclassified-refusal", Outcome::TryAgain),
    ] {
        check(json!({ "kind": "framework", "status": status }), rule, outcome, status).await;
    }
}

#[tokio::test]
async fn answers_without_json_are_worth_another_try() {
    for (answer, rule, status) in [
        (json!({ "kind": "empty" }), "unclassified-answer", 200),
        (json!({ "kind": "empty", "status": 204 }), "unclassified-answer", 204),
        (json!({ "kind": "empty", "status": 502 }), "server-error", 502),
        (json!({ "kind": "html" }), "server-error", 502),
        (json!({ "kind": "html", "status": 200 }), "unclassified-answer", 200),
        (json!({ "kind": "status", "status": 200, "body": "null" }), "unclassified-answer", 200),
        (json!({ "kind": "status", "status": 200, "body": "{\"status\":" }), "unclassified-answer", 200),
    ] {
        check(answer, rule, Outcome::TryAgain, status).await;
    }
}

#[tokio::test]
async fn success_that_names_nothing_is_unknown() {
    let body = json!({ "data": {}, "status": "success", "message": "" }).to_string();
    check(json!({ "kind": "status", "status": 200, "body": body }), "unclassified-success", Outcome::Unknown, 200)
        .await;
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    // The provider tells its own time with each answer, so a date that is past is known to be.
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (text, seconds) in [("7", Some(7)), ("0", Some(0)), (past, Some(0)), ("soon", None)] {
        let asked = seconds.map(Duration::from_secs);
        for (status, rule, outcome) in
            [(429, "rate-limit-status", Outcome::RateLimited), (503, "unavailable-status", Outcome::TryAgain)]
        {
            let answer = json!({ "kind": "status", "status": status, "headers": { "Retry-After": text } });
            assert_eq!(check(answer, rule, outcome, status).await.retry_after, asked, "{text}");
        }
    }
}

#[tokio::test]
async fn a_date_is_taken_against_the_answers_own() {
    let headers = json!({ "Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT" });
    let answer = json!({ "kind": "status", "status": 429, "headers": headers });
    let report = check(answer, "rate-limit-status", Outcome::RateLimited, 429).await;
    assert_eq!(report.retry_after, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_repeated_id_is_recognised_or_answered_as_before() {
    let part = part("Hello Asha");
    let same = Rig::scripted(json!({ "duplicates": "same" })).await;
    let first = call(&same.provider, &same.key, &part, PATIENCE).await;
    let second = call(&same.provider, &same.key, &part, PATIENCE).await;
    assert_eq!(first.outcome, second.outcome);
    let refusing = Rig::scripted(json!({ "duplicates": "error" })).await;
    call(&refusing.provider, &refusing.key, &part, PATIENCE).await;
    let second = call(&refusing.provider, &refusing.key, &part, PATIENCE).await;
    assert_eq!((second.outcome, second.rule), (Outcome::Duplicate, "duplicate-text"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let canary = Rig::scripted(json!({})).await;
        let location = format!("{}/api/v1/whatsapp/message/text", canary.sandbox.url());
        let answer = json!({ "kind": "redirect", "status": status, "location": location });
        check(answer, "redirect", Outcome::TryAgain, status).await;
        assert_eq!(canary.requests(), 0, "{status}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_read_to_a_bound() {
    let report = check(json!({ "kind": "endless" }), "unclassified-answer", Outcome::TryAgain, 200).await;
    assert!(report.detail.len() <= DETAIL_BYTES_MAX);
}

#[tokio::test]
async fn a_long_text_of_the_provider_is_cut() {
    let text = "é".repeat(20_000);
    let answer = json!({ "kind": "envelopeError", "message": text });
    let report = check(answer, "unclassified-error", Outcome::TryAgain, 200).await;
    assert!(report.detail.len() <= DETAIL_BYTES_MAX);
}

#[tokio::test]
async fn a_provider_that_repeats_the_key_does_not_bring_it_into_the_record() {
    let answer = json!({ "kind": "envelopeError", "message": format!("Key {KEY} is not known to us") });
    let report = Rig::answering(answer).await.call().await;
    assert!(!report.detail.to_lowercase().contains(&KEY.to_lowercase()), "{report:?}");
}

#[tokio::test]
async fn ids_hold_nothing_that_a_database_refuses() {
    let body = r#"{"data":{"messageId":"m\u0000","waId":"wamid.\u00001"},"status":"success"}"#;
    let report = Rig::answering(json!({ "kind": "status", "status": 200, "body": body })).await.call().await;
    let Outcome::Sent { message_id, wa_id } = report.outcome else { panic!("{report:?}") };
    let ids = [message_id, wa_id].map(Option::unwrap_or_default);
    assert!(ids.iter().all(|id| !id.contains('\0')), "{ids:?}");
}

#[tokio::test]
async fn an_id_of_any_length_is_kept_to_a_bound() {
    let long = "x".repeat(20_000);
    let body = json!({ "data": { "messageId": long, "waId": long }, "status": "success" }).to_string();
    let report = Rig::answering(json!({ "kind": "status", "status": 200, "body": body })).await.call().await;
    let Outcome::Sent { message_id, wa_id } = report.outcome else { panic!("{}", report.rule) };
    for id in [message_id, wa_id].into_iter().flatten() {
        assert!(id.len() <= DETAIL_BYTES_MAX, "{} bytes", id.len());
    }
}

#[tokio::test]
async fn what_is_printed_of_a_call_holds_no_key() {
    let rig = Rig::scripted(json!({})).await;
    let key = SecretString::from(KEY);
    assert!(!format!("{:?} {key:?}", rig.provider).contains(KEY));
}
