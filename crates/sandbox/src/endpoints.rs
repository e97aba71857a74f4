//! Every Lipachat endpoint known, and what the send endpoints want in a body.
//!
//! Where the field table of a page contradicts its sample, both spellings stand here. Source:
//! Lipachat docs, one page an endpoint; the location path is inferred, the history and session paths
//! come from a public client.

use serde_json::Value;

use crate::field::{Field, Flaw, Shape};
use crate::switches::Names;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    method: &'static str,
    /// Path; a segment that starts with `:` stands for any one segment.
    path: &'static str,
    pub(crate) job: Job,
}

/// What an endpoint does.
#[derive(Debug)]
pub(crate) enum Job {
    /// Sends a message.
    Send(Send),
    /// Known, but not built yet.
    Later,
}

/// What a send endpoint wants and says.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) fields: &'static [Field],
    /// `statusDesc` of a success.
    pub(crate) status_desc: &'static str,
    /// Whether it works outside the 24-hour session or window.
    pub(crate) needs_no_session: bool,
}

/// Result of looking a method and path up.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The endpoint.
    Found(&'static Endpoint),
    /// The path is known with these methods.
    OtherMethod(Vec<&'static str>),
    /// No such path.
    Nothing,
}

/// Finds the endpoint for a method and a path without query.
pub(crate) fn look_up(method: &str, path: &str) -> Lookup {
    let matching = || ENDPOINTS.iter().filter(|endpoint| fits(endpoint.path, path));
    if let Some(endpoint) = matching().find(|endpoint| endpoint.method == method) {
        return Lookup::Found(endpoint);
    }
    let methods: Vec<_> = matching().map(|endpoint| endpoint.method).collect();
    if methods.is_empty() {
        return Lookup::Nothing;
    }
    Lookup::OtherMethod(methods)
}

fn fits(pattern: &str, path: &str) -> bool {
    if !pattern.contains(':') {
        return pattern == path;
    }
    let mut segments = path.split('/');
    let all = pattern
        .split('/')
        .all(|wanted| segments.next().is_some_and(|got| wanted == got || (wanted.starts_with(':') && !got.is_empty())));
    all && segments.next().is_none()
}

impl Send {
    /// The first flaw of a body, the common fields included.
    pub(crate) fn flaw(&self, body: &Value, names: Names, limits: bool) -> Option<Flaw> {
        COMMON.iter().chain(self.fields).find_map(|field| field.flaw(body, names, limits))
    }
}

const fn send(path: &'static str, fields: &'static [Field]) -> Endpoint {
    let job = Job::Send(Send { fields, status_desc: "Message sent successfully", needs_no_session: false });
    Endpoint { method: "POST", path, job }
}

const fn later(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint { method, path, job: Job::Later }
}

const COMMON: [Field; 3] = [Field::text("/messageId"), Field::text("/to"), Field::text("/from")];

static ENDPOINTS: [Endpoint; 21] = [
    send("/api/v1/whatsapp/message/text", &[Field::text("/message").max(4096)]),
    Endpoint {
        method: "POST",
        path: "/api/v1/whatsapp/media",
        job: Job::Send(Send {
            fields: &[
                Field::text("/mediaType"),
                Field::text("/mediaUrl"),
                Field::text("/caption").optional().max(1024),
                Field::text("/filename").optional(),
            ],
            status_desc: "Media sent successfully",
            needs_no_session: false,
        }),
    },
    send(
        "/api/v1/whatsapp/interactive/buttons",
        &[Field::text("/text").or("/message").max(1024), Field::of("/buttons", Shape::Array).max(3)],
    ),
    send(
        "/api/v1/whatsapp/interactive/list",
        &[
            Field::text("/headerText").optional().max(60),
            Field::text("/body").or("/message").max(4096),
            Field::text("/buttonText").max(20),
            Field::of("/buttons", Shape::Array).max(10),
        ],
    ),
    send("/api/v1/whatsapp/contact", &[Field::text("/name/formattedName"), Field::of("/phones", Shape::Array)]),
    send(
        "/api/v1/whatsapp/location",
        &[
            Field::of("/latitude", Shape::Number),
            Field::of("/longitude", Shape::Number).or("/longtitude"),
            Field::text("/name").optional(),
            Field::text("/address").optional(),
        ],
    ),
    send("/api/v1/whatsapp/request_location", &[Field::text("/text").max(1024)]),
    Endpoint {
        method: "POST",
        path: "/api/v1/whatsapp/template",
        job: Job::Send(Send {
            fields: &[
                Field::text("/template/name").max(512),
                Field::text("/template/languageCode").or("/template/language"),
                Field::of("/template/components", Shape::Object).optional(),
            ],
            status_desc: "Message sent successfully",
            needs_no_session: true,
        }),
    },
    send(
        "/api/v1/whatsapp/interactive/flows",
        &[
            Field::text("/text").max(1024),
            Field::text("/flowId"),
            Field::text("/flowCta").max(20),
            Field::text("/screen"),
            Field::of("/data", Shape::Object).optional(),
        ],
    ),
    later("POST", "/api/v1/template/upload/file"),
    later("POST", "/api/v1/template/:number"),
    later("GET", "/api/v1/template/:number"),
    later("PUT", "/api/v1/template/:number/:templateId"),
    later("POST", "/api/v1/whatsapp/manage/flow"),
    later("GET", "/api/v1/whatsapp/manage/flow"),
    later("PUT", "/api/v1/whatsapp/manage/flow/:id"),
    later("GET", "/api/v1/whatsapp/manage/flow/:id/preview/url"),
    later("POST", "/api/v1/whatsapp/manage/flow/:id/publish"),
    later("GET", "/api/v1/whatsapp/message"),
    later("GET", "/api/v1/sandbox/active-session/:joinCode"),
    later("GET", "/api/v1/sandbox/contact/active-session/:phone"),
];
