//! The properties of a request beside content, address and time: what it answers, where its events go, and switches.

use domain::content::check_https_url;
use domain::id::MessageId;
use domain::limits::SHORT_LINK_DOMAIN_CHARS_MAX;
use domain::options::{CollapseKey, MARKETING, Options, ReplyTo};
use domain::violation::Violations;
use serde_json::Value;

use super::mentions::Known;
use super::meta::Meta;
use crate::reader::Fields;

/// What a message can answer to (Channels API, `replyTo`).
const REPLY_KINDS: [&str; 3] = ["message", "click", "referrals"];

/// Options, and what is asked for at accept time only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Read {
    pub(crate) options: Options,
    /// Whether tracking parameters go on the links of the text.
    pub(crate) tracks_links: bool,
}

/// Reads the options.
pub(crate) fn read(fields: &mut Fields<'_>, known: &Known, meta: &Meta, violations: &mut Violations) -> Read {
    let collapse_key = fields.text("collapseKey", violations);
    let tracks_links = switch(fields, "enableLinkTracking", violations);
    let options = Options {
        reply_to: reply_to(fields, known, violations),
        notification_url: notification(fields, violations),
        short_links_domain: short_links(fields, violations),
        collapse_key: collapse_key.and_then(|text| fields.keep("collapseKey", CollapseKey::new(text), violations)),
        cap_frequency: switch(fields, "capFrequency", violations),
        ignore_quiet_hours: switch(fields, "ignoreQuietHours", violations),
    };
    if options.cap_frequency && meta.use_case.as_deref() != Some(MARKETING) {
        violations.add(".capFrequency", "needs meta.extraInformation.useCase to be \"marketing\"");
    }
    // There is no global holdout that would have to be ignored.
    switch(fields, "ignoreGlobalHoldout", violations);
    // Only messages of a campaign are tracked (Channels API, `enableLinkTracking`).
    Read { options, tracks_links: tracks_links && meta.has_campaign }
}

fn switch(fields: &mut Fields<'_>, name: &'static str, violations: &mut Violations) -> bool {
    fields.boolean(name, violations).unwrap_or_default()
}

/// `replyTo`, at the top or, as the public samples print it, inside `body`.
fn reply_to(fields: &mut Fields<'_>, known: &Known, violations: &mut Violations) -> Option<ReplyTo> {
    let outer = fields.optional("replyTo");
    let inner = fields.optional("body").and_then(|body| body.get("replyTo")).filter(|value| !value.is_null());
    let (value, path) = match (outer, inner) {
        (Some(_), Some(_)) => {
            violations.add(".body.replyTo", "must not be given together with replyTo");
            return None;
        }
        (Some(value), None) => (value, ".replyTo"),
        (None, Some(value)) => (value, ".body.replyTo"),
        (None, None) => return None,
    };
    read_reply_to(value, path, known, violations)
}

fn read_reply_to(value: &Value, path: &str, known: &Known, violations: &mut Violations) -> Option<ReplyTo> {
    let mut fields = Fields::of(value, path, violations)?;
    let id = fields.required_text("id", violations);
    let id = id.and_then(|id| fields.keep("id", id.parse().map_err(|_| "must be a UUID".to_owned()), violations));
    if id.is_some_and(|id: MessageId| !known.has_received(id)) {
        violations.add(fields.path_of("id"), "is not a message received in this workspace");
    }
    let kind = fields.required_text("type", violations);
    if kind.is_some_and(|kind| !REPLY_KINDS.contains(&kind)) {
        violations.add(fields.path_of("type"), format!("must be one of: {}", REPLY_KINDS.join(", ")));
    }
    let order = fields.integer("order", violations);
    if order.is_some_and(|order| order < 0) {
        violations.add(fields.path_of("order"), "must not be negative");
    }
    fields.finish(violations);
    Some(ReplyTo { id: id?, kind: kind?.to_owned(), order })
}

fn notification(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<String> {
    let mut notification = fields.object("notification", violations)?;
    let url = notification.required_text("url", violations);
    let url = url.and_then(|url| notification.keep("url", check_https_url(url), violations));
    notification.finish(violations);
    url
}

fn short_links(fields: &mut Fields<'_>, violations: &mut Violations) -> Option<String> {
    let mut links = fields.object("shortLinks", violations)?;
    let domain = links.required_text("domain", violations);
    let domain = domain.and_then(|domain| links.keep("domain", check_domain(domain), violations));
    links.finish(violations);
    domain
}

fn check_domain(domain: &str) -> Result<String, String> {
    if domain.trim().is_empty() || domain.chars().count() > SHORT_LINK_DOMAIN_CHARS_MAX {
        return Err(format!("must be 1 to {SHORT_LINK_DOMAIN_CHARS_MAX} characters"));
    }
    Ok(domain.to_owned())
}
