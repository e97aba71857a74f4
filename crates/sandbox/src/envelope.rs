//! The bodies Lipachat answers with: success, business error, wrong key, framework error.
//!
//! Written out by hand from the provider's pages, field by field, so that a client's own reading of
//! them is checked against another one. Envelope times are Nairobi local time without a zone and
//! with five to nine fraction digits; the framework's are UTC with milliseconds and `+00:00`.
//! Source: Lipachat docs, pages "Sending Messages", "Sending Media" and "Whatsapp Flows".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Hours Nairobi is ahead of UTC, the year round.
const NAIROBI_HOURS: i8 = 3;
/// Fewest fraction digits seen in an envelope's time.
const FRACTION_DIGITS_MIN: usize = 5;
/// Characters of the part of a `wamid` that tells two messages apart.
const WAMID_KEY_LENGTH: usize = 18;

#[derive(Serialize)]
struct Envelope<'a> {
    timestamp: String,
    data: Option<Sent<'a>>,
    status: &'a str,
    message: &'a str,
    errors: &'a Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    message_id: &'a str,
    wa_id: &'a str,
    status: &'a str,
    status_desc: &'a str,
}

#[derive(Serialize)]
struct Framework<'a> {
    timestamp: String,
    status: u16,
    error: &'a str,
    path: &'a str,
}

/// Success of a send.
pub(crate) fn sent(now: Timestamp, message_id: &str, wa_id: &str, status_desc: &str) -> Vec<u8> {
    let data = Sent { message_id, wa_id, status: "SENT", status_desc };
    envelope(now, Some(data), "success", "", &Value::Null)
}

/// A business error.
pub(crate) fn error(now: Timestamp, message: &str, errors: &Value) -> Vec<u8> {
    envelope(now, None, "error", message, errors)
}

/// A wrong key: it says success.
pub(crate) fn invalid_credentials(now: Timestamp) -> Vec<u8> {
    envelope(now, None, "success", "Invalid credentials", &Value::Null)
}

/// The framework's own error.
pub(crate) fn framework(now: Timestamp, status: u16, error: &str, path: &str) -> Vec<u8> {
    let timestamp = now.strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00").to_string();
    json(&Framework { timestamp, status, error, path })
}

/// A WhatsApp message id for a message to `to`, in the form of real ones.
pub(crate) fn wa_id(to: &str, random: Uuid) -> String {
    let key = random.simple().to_string().to_uppercase();
    let length = u8::try_from(to.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![0x1c, 0x18, length];
    bytes.extend_from_slice(to.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, 0x11, 0x18, 0x12]);
    bytes.extend(key.bytes().take(WAMID_KEY_LENGTH));
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

fn envelope(now: Timestamp, data: Option<Sent<'_>>, status: &str, message: &str, errors: &Value) -> Vec<u8> {
    json(&Envelope { timestamp: nairobi(now), data, status, message, errors })
}

/// `2025-02-03T11:22:33.45678`: local time, trailing zeros dropped down to five digits.
fn nairobi(now: Timestamp) -> String {
    let local = now.to_zoned(TimeZone::fixed(Offset::constant(NAIROBI_HOURS))).datetime();
    let digits = format!("{:09}", local.subsec_nanosecond());
    let significant = digits.trim_end_matches('0').len().max(FRACTION_DIGITS_MIN);
    format!("{}.{}", local.strftime("%Y-%m-%dT%H:%M:%S"), &digits[..significant])
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have string keys and no failing serialisers, so there is always a body.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: &str, expected: &str) {
        assert_eq!(nairobi(at.parse().expect("a timestamp")), expected);
    }

    #[test]
    fn envelope_times_are_nairobi_time_with_five_to_nine_digits() {
        check("2025-02-03T08:22:33.456789123Z", "2025-02-03T11:22:33.456789123");
        check("2025-02-03T08:22:33.456789Z", "2025-02-03T11:22:33.456789");
        check("2025-02-03T08:22:33.4Z", "2025-02-03T11:22:33.40000");
        check("2025-12-31T22:00:00Z", "2026-01-01T01:00:00.00000");
    }

    #[test]
    fn framework_times_are_utc_with_milliseconds() {
        let now = "2025-02-03T08:22:33.4567Z".parse().expect("a timestamp");
        let body = String::from_utf8(framework(now, 400, "Bad Request", "/x")).expect("UTF-8");
        let expected =
            r#"{"timestamp":"2025-02-03T08:22:33.456+00:00","status":400,"error":"Bad Request","path":"/x"}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn a_wa_id_looks_like_the_documented_one() {
        let id = wa_id("254700000000", Uuid::from_u128(0xABCD_EF01_2345_6789_0000_0000_0000_0000));
        assert_eq!(id, "wamid.HBgMMjU0NzAwMDAwMDAwFQIAERgSQUJDREVGMDEyMzQ1Njc4OTAwAA==");
    }
}
