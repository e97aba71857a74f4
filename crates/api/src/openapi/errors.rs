//! Errors in the document: one table of status, codes and headers, and which group of routes answers which.
//!
//! What an answer really is stands in [`crate::errors`]; a test compares the two.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

/// What an error's answer says. Each answer has the request's id in `x-request-id`.
#[derive(ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorAnswer {
    /// The kind of error.
    code: ErrorCode,
    /// What is wrong, for people; it may change.
    message: String,
}

/// What the answer to an invalid request says: everything that is wrong with it, at once.
#[derive(ToSchema)]
#[schema(as = ValidationError)]
pub(crate) struct ValidationErrorAnswer {
    /// `InvalidPayload`.
    code: ErrorCode,
    /// What is wrong, for people; it may change.
    message: String,
    /// Texts by path of the property (`.body.text.text`), parameter (`.limit`) or header.
    #[schema(examples(json!({ ".receiver.contacts[0].listId": ["property \"listId\" is unsupported"] })))]
    details: BTreeMap<String, Vec<String>>,
}

/// The kind of an error.
#[derive(ToSchema)]
#[schema(as = ErrorCode)]
pub(crate) enum ErrorCode {
    MalformedRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    MessageIdConflict,
    AlreadySent,
    NotReplayable,
    ActionExpired,
    ResourceAlreadyExists,
    PayloadTooLarge,
    UnsupportedMediaType,
    InvalidPayload,
    TooManyRequests,
    QueueFull,
    InternalError,
    Unavailable,
}

/// A status, the name of its response in the document, its codes, its headers.
struct Row {
    status: u16,
    name: &'static str,
    description: &'static str,
    headers: &'static [&'static str],
}

const fn row(status: u16, name: &'static str, headers: &'static [&'static str], description: &'static str) -> Row {
    Row { status, name, description, headers }
}

const ROWS: &[Row] = &[
    row(400, "MalformedRequest", &[], "`MalformedRequest`: the body is not JSON that can be stored, or broke off."),
    row(401, "Unauthorized", &["WWW-Authenticate"], "`Unauthorized`: no valid credential."),
    row(403, "Forbidden", &[], "`Forbidden`: the access key lacks the scope that is needed."),
    row(404, "NotFound", &[], "`NotFound`: not there, or not yours."),
    row(405, "MethodNotAllowed", &["Allow"], "`MethodNotAllowed`: the path is there, the method is not."),
    row(408, "RequestTimeout", &[], "`RequestTimeout`: the body did not arrive in time."),
    row(
        409,
        "Conflict",
        &[],
        "`MessageIdConflict`: another request has this deduplication key. `ResourceAlreadyExists`: taken, or changed \
         meanwhile. `AlreadySent`: too late. `NotReplayable`: it cannot be sent again. `ActionExpired`: count once more.",
    ),
    row(413, "PayloadTooLarge", &[], "`PayloadTooLarge`: the body is too large."),
    row(415, "UnsupportedMediaType", &[], "`UnsupportedMediaType`: the body is not uncompressed `application/json`."),
    row(
        422,
        "InvalidPayload",
        &[],
        "`InvalidPayload`: `details` tells all that is wrong with body, query and headers.",
    ),
    row(
        429,
        "TooManyRequests",
        &["Retry-After", "RateLimit", "RateLimit-Policy"],
        "`TooManyRequests`: too many requests of the workspace. `QueueFull`: too many messages wait. Not stored; safe \
         to repeat after `Retry-After`.",
    ),
    row(500, "InternalError", &[], "`InternalError`: a fault of the gateway."),
    row(
        503,
        "Unavailable",
        &["Retry-After"],
        "`Unavailable`: the database is away. Safe to repeat with the same deduplication key.",
    ),
];

/// Headers of answers, and what each says.
pub(super) const HEADERS: &[(&str, &str)] = &[
    ("x-request-id", "Id of the request, as in the gateway's log."),
    ("messagebird-request-id", "The same as `x-request-id`."),
    ("WWW-Authenticate", "Which credential is needed."),
    ("Allow", "Methods of the path."),
    ("Retry-After", "Seconds to wait before repeating the request."),
    ("RateLimit", "What is left of the limits, as in the IETF's draft on RateLimit header fields."),
    ("RateLimit-Policy", "The limits that hold, as in the IETF's draft on RateLimit header fields."),
];

/// The responses that operations refer to, by name, with the headers each has.
pub(super) fn components() -> impl Iterator<Item = (&'static str, Response, &'static [&'static str])> {
    ROWS.iter().map(|row| {
        let schema = if row.status == 422 { "ValidationError" } else { "Error" };
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        let response = ResponseBuilder::new().description(row.description).content("application/json", content).build();
        (row.name, response, row.headers)
    })
}

/// Makes a group of errors that operations name.
macro_rules! group {
    ($(#[$doc:meta])* $name:ident: $($status:literal),*) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                references(&[$($status),*])
            }
        }
    };
}

group! {
    /// Of a route of a workspace that reads.
    ReadErrors: 401, 403, 404, 422, 429, 500, 503
}
group! {
    /// Of a route of a workspace that writes.
    WriteErrors: 400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503
}
group! {
    /// Of a route of a workspace that ends or removes something, and takes no body but an empty one.
    RemoveErrors: 400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503
}
group! {
    /// Of a route of the admin API that reads or deletes.
    AdminReadErrors: 401, 404, 422, 500, 503
}
group! {
    /// Of a route of the admin API that concerns the whole installation.
    AdminRootErrors: 401, 500, 503
}
group! {
    /// Of a route of the admin API that takes a body.
    AdminWriteErrors: 400, 401, 404, 408, 409, 413, 415, 422, 500, 503
}
group! {
    /// Of a file.
    FileErrors: 404
}

fn references(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let named = ROWS.iter().filter(|row| statuses.contains(&row.status));
    named.map(|row| (row.status.to_string(), RefOr::Ref(Ref::from_response_name(row.name)))).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use domain::violation::Violations;

    use super::*;
    use crate::errors::ApiError;

    #[test]
    fn each_error_that_is_answered_is_in_the_table_with_its_code_and_headers() {
        for error in [
            ApiError::MalformedRequest(String::new()),
            ApiError::Unauthorized("access key"),
            ApiError::Forbidden("messages:read"),
            ApiError::NotFound("path"),
            ApiError::MethodNotAllowed("GET"),
            ApiError::RequestTimeout,
            ApiError::MessageIdConflict,
            ApiError::AlreadySent,
            ApiError::NotReplayable(String::new()),
            ApiError::ActionExpired,
            ApiError::ResourceAlreadyExists(""),
            ApiError::PayloadTooLarge(1),
            ApiError::UnsupportedMediaType(""),
            ApiError::InvalidPayload(Violations::default()),
            ApiError::Internal,
            ApiError::Unavailable,
            ApiError::OutcomeUnknown,
        ] {
            let answer = error.error_response();
            let code = error.to_string();
            let row = ROWS.iter().find(|row| row.status == answer.status().as_u16()).expect("a row of the status");
            assert!(row.description.contains(&format!("`{code}`")), "{code} is not told of {}", row.status);
            let names = answer.headers().keys().map(|name| name.as_str().to_owned());
            let mut own: Vec<_> = names.filter(|name| name != "content-type").collect();
            own.sort();
            let mut told: Vec<_> = row.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
            told.sort();
            assert_eq!(own, told, "headers of {}", row.status);
            assert!(told.iter().all(|name| HEADERS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))));
            let codes = serde_json::to_string(&<ErrorCode as utoipa::PartialSchema>::schema()).expect("JSON");
            assert!(codes.contains(&format!("\"{code}\"")), "{code}");
        }
    }
}
