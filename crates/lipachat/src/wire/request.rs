//! What goes to Lipachat: one function a kind of content.
//!
//! A pure function of frozen content and addresses, so that every repetition of a part is equal byte by byte. Names are
//! those of the pages' samples, which differ from their tables here and there.

use domain::content::{
    Buttons, Contact, Content, Flow, List, Location, LocationRequest, LongitudeSpelling, Media, MediaKind, Part,
    Template, TemplateHeader, Text, filename_of_url,
};
use domain::phone::PhoneNumber;
use serde_json::{Map, Value, json};

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
pub fn render(part: &Part, from: &PhoneNumber, to: &PhoneNumber, spelling: LongitudeSpelling) -> Request {
    let (path, mut body) = match &part.content {
        Content::Text(text) => render_text(text),
        Content::Buttons(buttons) => render_buttons(buttons),
        Content::LocationRequest(request) => render_location_request(request),
        Content::Media(media) => render_media(media),
        Content::Location(location) => render_location(location, spelling),
        Content::List(list) => render_list(list),
        Content::Contact(contact) => render_contact(contact),
        Content::Flow(flow) => render_flow(flow),
        Content::Template(template) => render_template(template),
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

/// Lipachat docs, "Sending Buttons": the sample's `text`, not the table's `message`.
fn render_buttons(buttons: &Buttons) -> (&'static str, Value) {
    let rows: Vec<Value> =
        buttons.buttons.iter().map(|button| json!({ "id": button.id, "title": button.title })).collect();
    ("/api/v1/whatsapp/interactive/buttons", json!({ "text": buttons.text, "buttons": rows }))
}

/// Lipachat docs, "Request Location".
fn render_location_request(request: &LocationRequest) -> (&'static str, Value) {
    ("/api/v1/whatsapp/request_location", json!({ "text": request.text }))
}

/// Lipachat docs, "Sending Media".
fn render_media(media: &Media) -> (&'static str, Value) {
    let mut body = json!({ "mediaType": media_type(media.media_kind), "mediaUrl": media.url });
    put(&mut body, "caption", media.caption.as_deref());
    put(&mut body, "filename", media.filename.as_deref());
    ("/api/v1/whatsapp/media", body)
}

/// Lipachat docs, "Sending Location": path by analogy; the table spells `longtitude`, the wire name is not known, so
/// a channel's setting says which is sent.
fn render_location(location: &Location, spelling: LongitudeSpelling) -> (&'static str, Value) {
    let mut body = json!({ "latitude": location.latitude });
    let names: &[&str] = match spelling {
        LongitudeSpelling::Both => &["longitude", "longtitude"],
        LongitudeSpelling::Longitude => &["longitude"],
        LongitudeSpelling::Longtitude => &["longtitude"],
    };
    for name in names {
        body[*name] = json!(location.longitude);
    }
    put(&mut body, "name", location.name.as_deref());
    put(&mut body, "address", location.address.as_deref());
    ("/api/v1/whatsapp/location", body)
}

/// Lipachat docs, "Sending Interactive Lists": sections are called `buttons`, the text `body`.
fn render_list(list: &List) -> (&'static str, Value) {
    let sections: Vec<Value> = list
        .sections
        .iter()
        .map(|section| {
            let rows: Vec<Value> = section
                .rows
                .iter()
                .map(|row| {
                    let mut item = json!({ "id": row.id, "title": row.title });
                    put(&mut item, "description", row.description.as_deref());
                    item
                })
                .collect();
            json!({ "sectionTitle": section.title, "sectionItems": rows })
        })
        .collect();
    let mut body = json!({ "body": list.body, "buttonText": list.button_text, "buttons": sections });
    put(&mut body, "headerText", list.header.as_deref());
    ("/api/v1/whatsapp/interactive/list", body)
}

/// Lipachat docs, "Sending Contacts": the sample's flat `phones[].phone`.
fn render_contact(contact: &Contact) -> (&'static str, Value) {
    let phones: Vec<Value> = contact
        .phones
        .iter()
        .map(|phone| {
            let mut item = json!({ "phone": phone.phone });
            put(&mut item, "type", phone.phone_type.as_deref());
            put(&mut item, "waId", phone.wa_id.as_deref());
            item
        })
        .collect();
    ("/api/v1/whatsapp/contact", json!({ "name": { "formattedName": contact.formatted_name }, "phones": phones }))
}

/// Lipachat docs, "Send a flow".
fn render_flow(flow: &Flow) -> (&'static str, Value) {
    let mut body =
        json!({ "text": flow.text, "flowId": flow.flow_id, "flowCta": flow.flow_cta, "screen": flow.screen });
    if let Some(data) = &flow.data {
        body["data"] = Value::Object(data.clone());
    }
    ("/api/v1/whatsapp/interactive/flows", body)
}

/// Lipachat docs, "Sending Message Templates": `components` is an object here. The shape of buttons is a guess after the
/// provider whose shape the rest resembles: only buttons with a value are listed, in order.
fn render_template(template: &Template) -> (&'static str, Value) {
    let mut components = Map::new();
    if let Some(header) = &template.header {
        components.insert("header".to_owned(), render_header(header));
    }
    if !template.placeholders.is_empty() {
        components.insert("body".to_owned(), json!({ "placeholders": template.placeholders }));
    }
    if !template.buttons.is_empty() {
        let buttons: Vec<Value> = template
            .buttons
            .iter()
            .flatten()
            .map(|button| json!({ "type": "URL", "parameter": button.parameter }))
            .collect();
        components.insert("buttons".to_owned(), Value::Array(buttons));
    }
    let body =
        json!({ "template": { "name": template.name, "languageCode": template.language, "components": components } });
    ("/api/v1/whatsapp/template", body)
}

fn render_header(header: &TemplateHeader) -> Value {
    match header {
        TemplateHeader::Text { parameter } => json!({ "type": "TEXT", "parameter": parameter }),
        TemplateHeader::Media { media_kind, url } => {
            let mut value = json!({ "type": media_type(*media_kind), "mediaUrl": url });
            if *media_kind == MediaKind::Document {
                put(&mut value, "filename", filename_of_url(url).as_deref());
            }
            value
        }
    }
}

fn media_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "IMAGE",
        MediaKind::Video => "VIDEO",
        MediaKind::Audio => "AUDIO",
        MediaKind::Document => "DOCUMENT",
        MediaKind::Sticker => "STICKER",
    }
}

fn put(body: &mut Value, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        body[name] = Value::String(text.to_owned());
    }
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
        let request = render(&part, &number("+254110090747"), &number("+254712345678"), LongitudeSpelling::Both);
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
