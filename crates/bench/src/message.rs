//! The message that all scenarios send: a text of about 300 bytes of JSON, numbered, so that its arrival is recognised.

use domain::content::{Content, Part, Text};
use domain::id::PartId;
use serde_json::{Value, json};

/// Stands in texts before the number.
pub(crate) const MARK: &str = "bench ";
/// Digits of a number.
pub(crate) const NUMBER_DIGITS: usize = 9;
/// Stands where the number goes.
pub(crate) const NUMBER_PLACE: &str = "@@@@@@@@@";
/// Stands where the end of the recipient's number goes; as many digits.
pub(crate) const RECIPIENT_PLACE: &str = "######";
/// Recipients that messages go to in turn.
pub(crate) const RECIPIENTS: usize = 10_000;
/// Beginning of a recipient's number; six digits follow.
pub(crate) const RECIPIENT_PREFIX: &str = "+254712";

fn text() -> String {
    format!(
        "{MARK}{NUMBER_PLACE} Your order has left our store and will be with you between two and four o'clock this \
         afternoon. Our driver will call you on this number a few minutes before. Thank you for shopping."
    )
}

/// The body of a request with places.
pub(crate) fn request() -> Value {
    json!({
        "receiver": { "contacts": [{ "identifierValue": format!("{RECIPIENT_PREFIX}{RECIPIENT_PLACE}") }] },
        "body": { "type": "text", "text": { "text": text() } }
    })
}

/// The stored parts of a message with places: of the number, and the given id where the part's own goes.
pub(crate) fn parts(id: PartId) -> Result<String, String> {
    let text = Text::new(&text())?;
    serde_json::to_string(&[Part { id, content: Content::Text(text) }]).map_err(|error| error.to_string())
}

/// The number in a text that came through.
pub(crate) fn number_in(bytes: &[u8]) -> Option<u32> {
    let from = find(bytes, MARK.as_bytes())? + MARK.len();
    let digits = bytes.get(from..from + NUMBER_DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Writes a number over the digits of a place.
pub(crate) fn write_digits(place: &mut [u8], mut number: usize) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Where something first stands.
pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_about_three_hundred_bytes() {
        let bytes = request().to_string().len();
        assert!((250..350).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_number_is_found_in_what_arrives() {
        let text = text().replace(NUMBER_PLACE, "000123456");
        assert_eq!(number_in(json!({ "message": text }).to_string().as_bytes()), Some(123_456));
        assert_eq!(number_in(b"{}"), None);
        assert_eq!(number_in(b"bench 12"), None);
    }
}
