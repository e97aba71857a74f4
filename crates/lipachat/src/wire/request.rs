//! What goes to Lipachat: one function a kind of content.
//!
//! A pure function of frozen content and addresses, so that every repetition of a part is equal byte by byte.

use domain::content::{Content, Part, Text};
use domain::phone::PhoneNumber;
use serde_json::{Value, json};

/// A call: path and body of a POST.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// Path from the host on.
    pub path: &'static str,
    /// JSON body.
    pub body: Value,
}

/// Renders the call of a part.
#[must_use]
pub fn render(part: &Part, from: &PhoneNumber, to: &PhoneNumber) -> Request {
    let (path, mut body) = match &part.content {
        Content::Text(text) => render_text(text),
    };
    body["messageId"] = Value::String(part.id.to_string());
    body["to"] = Value::String(to.digits().to_owned());
    body["from"] = Value::String(from.digits().to_owned());
    Request { path, body }
}

/// Lipachat docs, "Sending Messages".
fn render_text(text: &Text) -> (&'static str, Value) {
    ("/api/v1/whatsapp/message/text", json!({ "message": text.text }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::PartId;
    use uuid::Uuid;

    #[test]
    fn a_text_is_rendered_with_digits_and_the_id_of_its_part() {
        let part =
            Part { id: PartId(Uuid::from_u128(1)), content: Content::Text(Text { text: "Hello Asha".to_owned() }) };
        let number = |text| PhoneNumber::parse(text).expect("a number");
        let request = render(&part, &number("+254110090747"), &number("+254712345678"));
        assert_eq!(request.path, "/api/v1/whatsapp/message/text");
        assert_eq!(
            request.body,
            json!({
                "message": "Hello Asha", "messageId": "00000000-0000-0000-0000-000000000001",
                "to": "254712345678", "from": "254110090747"
            })
        );
    }
}
