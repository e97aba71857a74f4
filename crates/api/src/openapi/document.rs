//! The whole document: what the handlers' annotations give, the security schemes, and what a derive cannot say.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::errors::{self, ErrorAnswer, HEADERS, ValidationErrorAnswer};
use crate::routes::{
    actions, acts, admin, batch, channels, contacts, docs, explain, message_lists, messages, pauses, quiet_hours, tags,
    uploads,
};

/// Named requests, shown with the operations that take them.
const EXAMPLES: &str = include_str!("examples.json");

/// Headers of every answer.
const EVERYWHERE: [&str; 2] = ["x-request-id", "messagebird-request-id"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tuma",
        description = "A self-hosted gateway that queues WhatsApp messages and sends each once. The messages API is \
                       shaped like Bird's Channels API. A property of a request that is `null` counts as absent, \
                       unless its description says what `null` does; an unknown one is refused. Lengths of texts are counted in UTF-16 units, as WhatsApp counts them, \
                       so a text with emoji may be refused although the schema, which counts characters, allows it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The gateway that serves this document.")),
    paths(
        messages::send_message,
        batch::send_batch,
        message_lists::list_channel_messages,
        message_lists::list_workspace_messages,
        messages::get_message,
        acts::reschedule_message,
        acts::cancel_message,
        acts::hold_message,
        acts::release_message,
        acts::replay_message,
        actions::act_on_messages,
        actions::get_action,
        explain::explain_message,
        channels::list_channels,
        channels::get_channel,
        contacts::get_contact,
        tags::list_tags,
        quiet_hours::get_quiet_hours,
        quiet_hours::put_quiet_hours,
        quiet_hours::get_channel_quiet_hours,
        quiet_hours::put_channel_quiet_hours,
        quiet_hours::delete_channel_quiet_hours,
        pauses::list_pauses,
        pauses::create_pause,
        pauses::get_pause,
        pauses::end_pause,
        uploads::refuse_channel_upload,
        uploads::refuse_workspace_upload,
        admin::workspaces::create_workspace,
        admin::workspaces::list_workspaces,
        admin::workspaces::get_workspace,
        admin::workspaces::update_workspace,
        admin::channels::create_channel,
        admin::channels::list_channels,
        admin::channels::get_channel,
        admin::channels::update_channel,
        admin::access_keys::create_access_key,
        admin::access_keys::list_access_keys,
        admin::access_keys::revoke_access_key,
        admin::erasures::erase_recipient,
        admin::sending::get_hold,
        admin::sending::release,
        docs::get_document,
        docs::get_page,
        docs::get_file,
    ),
    components(schemas(ErrorAnswer, ValidationErrorAnswer)),
    security(("accessKey" = []), ("accessKeyAsBearer" = [])),
    tags(
        (name = "Messages", description = "Sending and reading."),
        (name = "Channels", description = "Channels, their contacts, tags."),
        (name = "Quiet hours", description = "When messages of some use cases are not sent."),
        (name = "Pauses", description = "What is accepted and not sent for a while."),
        (name = "Admin", description = "Workspaces, channels, access keys, erasures, the hold of sending; opened by the admin token."),
        (name = "Documentation", description = "This document."),
    )
)]
struct Annotated;

/// The document as it is served.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| build().to_string());
    &TEXT
}

fn build() -> Value {
    let mut annotated = Annotated::openapi();
    let components = annotated.components.get_or_insert_default();
    let bearer = |text: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build())
    };
    components.add_security_scheme(
        "accessKey",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "Authorization",
            "`AccessKey`, a space, and an access key of the workspace.",
        ))),
    );
    components.add_security_scheme("accessKeyAsBearer", bearer("An access key of the workspace."));
    components.add_security_scheme("adminToken", bearer("The installation's admin token."));
    for (name, response, _) in errors::components() {
        components.responses.insert(name.to_owned(), response.into());
    }
    let mut document = serde_json::to_value(annotated).unwrap_or_default();
    add_headers(&mut document);
    add_examples(&mut document);
    add_conditions(&mut document["components"]["schemas"]);
    document
}

/// Headers once, and references to them from every response that is written out.
fn add_headers(document: &mut Value) {
    for (name, description) in HEADERS {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        document["components"]["headers"][name] = header;
    }
    for (name, _, headers) in errors::components() {
        refer(&mut document["components"]["responses"][name], EVERYWHERE.iter().chain(headers));
    }
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = items.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let responses = operations.filter_map(|operation| operation.get_mut("responses")?.as_object_mut());
    for response in responses.flat_map(Map::values_mut).filter(|response| response.get("$ref").is_none()) {
        refer(response, EVERYWHERE.iter());
    }
}

fn refer<'a>(response: &mut Value, headers: impl Iterator<Item = &'a &'a str>) {
    for name in headers {
        response["headers"][*name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

/// Named examples of requests, by path: of what is posted there, else of what is put or changed.
fn add_examples(document: &mut Value) {
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    for (path, examples) in examples {
        let Some(item) = document["paths"].get_mut(&path).and_then(Value::as_object_mut) else { continue };
        let method = ["post", "put", "patch"].into_iter().find(|method| item.contains_key(*method));
        let Some(method) = method else { continue };
        if let Some(body) = item.get_mut(method).and_then(|operation| operation.get_mut("requestBody")) {
            body["content"]["application/json"]["examples"] = examples;
        }
    }
}

/// Conditions between properties.
fn add_conditions(schemas: &mut Value) {
    let given = |name: &str, kind: &str| json!({ "required": [name], "properties": { name: { "type": kind } } });
    let absent = |name: &str| json!({ "properties": { name: { "type": "null" } } });
    schemas["MessageRequest"]["oneOf"] = json!([
        { "title": "With a body", "allOf": [given("body", "object"), absent("template")] },
        { "title": "With a template", "allOf": [given("template", "object"), absent("body")] },
    ]);
    schemas["ReceiverContact"]["anyOf"] = json!([given("identifierValue", "string"), given("id", "string")]);
    schemas["ErasureRequest"]["oneOf"] = json!([
        { "title": "By number", "allOf": [given("identifierValue", "string"), absent("contactId")] },
        { "title": "By contact", "allOf": [given("contactId", "string"), absent("identifierValue")] },
    ]);
    let scope = |word: &str| json!({ "properties": { "scope": { "const": word } } });
    schemas["PauseRequest"]["oneOf"] = json!([
        { "title": "Of the workspace", "allOf": [scope("workspace"), absent("channelId"), absent("tag")] },
        { "title": "Of a channel", "allOf": [scope("channel"), given("channelId", "string"), absent("tag")] },
        { "title": "Of a tag", "allOf": [scope("tag"), given("tag", "string"), absent("channelId")] },
    ]);
    schemas["ActionRequest"]["oneOf"] = json!([
        { "title": "To count", "allOf": [given("action", "string"), given("selector", "object"), absent("token")] },
        { "title": "To act", "allOf": [given("token", "string"), absent("action"), absent("selector")] },
    ]);
    for payload in ["ImagePayload", "FilePayload"] {
        let without_buttons = json!({ "properties": { "actions": { "type": ["array", "null"], "maxItems": 0 } } });
        schemas[payload]["anyOf"] = json!([given("text", "string"), without_buttons]);
    }
    // An item that breaks the schema does not refuse the batch.
    if let Some(items) = schemas.pointer_mut("/BatchRequest/properties/messageRequests/items") {
        let refused = json!({ "title": "Anything else", "description": "Becomes a `rejected` message." });
        *items = json!({ "anyOf": [items.take(), refused] });
    }
    schemas["TextPayload"]["properties"]["actions"]["anyOf"] = json!([
        { "items": { "required": ["type"], "properties": { "type": { "enum": ["reply", "postback"] } } } },
        { "maxItems": 1 },
    ]);
}

#[cfg(test)]
mod tests {
    use domain::{fairness, limits, spacing};

    use super::*;

    fn size(limit: u32) -> usize {
        usize::try_from(limit).expect("small")
    }

    /// A limit of a schema's property, by the path of both.
    fn limit(document: &Value, path: &str, name: &str) -> Option<u64> {
        let (schema, property) = path.split_once('.').expect("schema and property");
        document["components"]["schemas"][schema]["properties"][property][name].as_u64()
    }

    #[test]
    fn limits_are_those_of_the_domain() {
        let document = build();
        for (path, name, expected) in [
            ("MessageRequest.messageId", "maxLength", limits::MESSAGE_KEY_CHARS_MAX),
            ("MessageRequest.reference", "maxLength", limits::REFERENCE_CHARS_MAX),
            ("Message.reference", "maxLength", limits::REFERENCE_CHARS_MAX),
            ("MessageRequest.tags", "maxItems", limits::TAGS_MAX),
            ("ActionSelector.tags", "maxItems", limits::TAGS_MAX),
            ("ActionSelector.useCase", "maxLength", limits::USE_CASE_CHARS_MAX),
            ("MessageRequest.validity", "maximum", usize::try_from(limits::VALIDITY_SECONDS_MAX).expect("positive")),
            ("TextPayload.text", "maxLength", limits::TEXT_UNITS_MAX),
            ("TextPayload.actions", "maxItems", limits::BUTTONS_MAX),
            ("ImagePayload.images", "maxItems", limits::FILES_MAX),
            ("ImagePayload.text", "maxLength", limits::TEXT_UNITS_MAX.max(limits::CAPTION_UNITS_MAX)),
            ("ImagePayload.actions", "maxItems", limits::BUTTONS_MAX),
            ("Image.mediaUrl", "maxLength", limits::URL_CHARS_MAX),
            ("FilePayload.files", "maxItems", limits::FILES_MAX),
            ("FilePayload.text", "maxLength", limits::TEXT_UNITS_MAX.max(limits::CAPTION_UNITS_MAX)),
            ("FilePayload.actions", "maxItems", limits::BUTTONS_MAX),
            ("File.mediaUrl", "maxLength", limits::URL_CHARS_MAX),
            ("File.filename", "maxLength", limits::LABEL_UNITS_MAX),
            ("ReplyButtonPayload.text", "maxLength", limits::BUTTON_TITLE_UNITS_MAX),
            ("PostbackButtonPayload.text", "maxLength", limits::BUTTON_TITLE_UNITS_MAX),
            ("PostbackButtonPayload.payload", "maxLength", limits::BUTTON_ID_UNITS_MAX),
            ("ReplyRowPayload.text", "maxLength", limits::ROW_TITLE_UNITS_MAX),
            ("PostbackRowPayload.text", "maxLength", limits::ROW_TITLE_UNITS_MAX),
            ("PostbackRowPayload.payload", "maxLength", limits::ROW_ID_UNITS_MAX),
            ("RowDescription.label", "maxLength", limits::ROW_DESCRIPTION_UNITS_MAX),
            ("ListPayload.title", "maxLength", limits::LIST_HEADER_UNITS_MAX),
            ("ListPayload.text", "maxLength", limits::LIST_TEXT_UNITS_MAX),
            ("ListPayload.items", "maxItems", limits::LIST_SECTIONS_MAX),
            ("ListSection.title", "maxLength", limits::SECTION_TITLE_UNITS_MAX),
            ("ListSection.actions", "maxItems", limits::LIST_ROWS_MAX),
            ("ListButton.label", "maxLength", limits::LIST_BUTTON_UNITS_MAX),
            ("Place.label", "maxLength", limits::LABEL_UNITS_MAX),
            ("Place.address", "maxLength", limits::LABEL_UNITS_MAX),
            ("CardName.formattedName", "maxLength", limits::LABEL_UNITS_MAX),
            ("ContactCard.phones", "maxItems", limits::CONTACT_PHONES_MAX),
            ("CardPhone.phone", "maxLength", limits::LABEL_UNITS_MAX),
            ("FlowPayload.text", "maxLength", limits::INTERACTIVE_TEXT_UNITS_MAX),
            ("FlowPayload.flowCta", "maxLength", limits::FLOW_CTA_UNITS_MAX),
            ("FlowPayload.screen", "maxLength", limits::LABEL_UNITS_MAX),
            ("Template.name", "maxLength", limits::TEMPLATE_NAME_CHARS_MAX),
            ("Template.parameters", "maxItems", limits::TEMPLATE_PLACEHOLDERS_MAX + limits::TEMPLATE_BUTTONS_MAX + 1),
            ("StringParameter.value", "maxLength", limits::TEMPLATE_BODY_UNITS_MAX),
            ("QuietHoursRequest.windows", "maxItems", limits::QUIET_WINDOWS_MAX),
            ("QuietHoursRequest.holidays", "maxItems", limits::QUIET_HOLIDAYS_MAX),
            ("QuietHoursRequest.appliesTo", "maxItems", limits::QUIET_USE_CASES_MAX),
            ("QuietHoursRequest.spreadSeconds", "maximum", size(limits::QUIET_SPREAD_SECONDS_MAX)),
            ("PauseRequest.reason", "maxLength", limits::PAUSE_REASON_CHARS_MAX),
            ("MessageRequest.collapseKey", "maxLength", limits::COLLAPSE_KEY_CHARS_MAX),
            ("ShortLinks.domain", "maxLength", limits::SHORT_LINK_DOMAIN_CHARS_MAX),
            ("BatchRequest.messageRequests", "maxItems", limits::BATCH_MESSAGES_MAX),
            ("NewChannel.messagesPerSecond", "maximum", size(limits::MESSAGES_PER_SECOND_MAX)),
            ("NewChannel.accountMessagesPerSecond", "maximum", size(limits::MESSAGES_PER_SECOND_MAX)),
            ("ChannelChange.messagesPerSecond", "maximum", size(limits::MESSAGES_PER_SECOND_MAX)),
            ("ChannelChange.accountMessagesPerSecond", "maximum", size(limits::MESSAGES_PER_SECOND_MAX)),
            ("NewChannel.backlogMax", "maximum", size(limits::BACKLOG_MAX)),
            ("ChannelChange.backlogMax", "maximum", size(limits::BACKLOG_MAX)),
            ("RecipientRate.intervalSeconds", "maximum", size(spacing::RECIPIENT_INTERVAL_SECONDS_MAX)),
            ("RecipientRate.burst", "maximum", size(spacing::RECIPIENT_BURST_MAX)),
            ("WorkspaceChange.weight", "maximum", size(fairness::WEIGHT_MAX)),
        ] {
            assert_eq!(limit(&document, path, name), u64::try_from(expected).ok(), "{path} {name}");
        }
    }
}
