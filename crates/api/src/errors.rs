//! Errors as clients see them: one table of status, code and text.
//!
//! Public texts say what is wrong with the request; causes go to the log with the request id.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use domain::violation::Violations;
use serde::Serialize;

use crate::rate_limit::WINDOW_SECONDS;

/// Seconds after which a refused request may come again.
const RETRY_AFTER_SECONDS: u32 = 1;

const ALREADY_SENT: &str = "The message has begun to be sent, or has ended";
const ACTION_EXPIRED: &str = "The token was not used in time: count the messages once more";

/// What a request can be answered with instead of success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ApiError {
    /// Not JSON, or not JSON that can be stored.
    MalformedRequest(String),
    /// No valid credential of the kind that is needed.
    Unauthorized(&'static str),
    /// The key lacks a scope.
    Forbidden(&'static str),
    /// Not there, or not yours.
    NotFound(&'static str),
    /// The path is there, the method is not.
    MethodNotAllowed(&'static str),
    /// The body did not come in time.
    RequestTimeout,
    /// The deduplication key belongs to another request.
    MessageIdConflict,
    /// The message has begun to be sent, or has ended.
    AlreadySent,
    /// The message cannot be sent again, and why.
    NotReplayable(String),
    /// What was counted was not confirmed in time.
    ActionExpired,
    /// The resource was changed meanwhile, or its name is taken.
    ResourceAlreadyExists(&'static str),
    /// The body is too large.
    PayloadTooLarge(usize),
    /// The body is not `application/json`, or compressed.
    UnsupportedMediaType(&'static str),
    /// The workspace asks more often than it may.
    TooManyRequests,
    /// Too many messages wait.
    QueueFull {
        /// What is full.
        why: String,
        /// When there may be room.
        retry_after_seconds: u32,
    },
    /// Violations by path.
    InvalidPayload(Violations),
    /// A fault of ours.
    Internal,
    /// The database is away: surely not stored.
    Unavailable,
    /// The database gave no answer: perhaps stored.
    OutcomeUnknown,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a std::collections::BTreeMap<String, Vec<String>>>,
}

impl ApiError {
    /// Status, code and text of each error.
    fn row(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::MalformedRequest(why) => {
                (StatusCode::BAD_REQUEST, "MalformedRequest", format!("The request could not be read: {why}"))
            }
            Self::Unauthorized(what) => {
                (StatusCode::UNAUTHORIZED, "Unauthorized", format!("A valid {what} is required"))
            }
            Self::Forbidden(scope) => {
                (StatusCode::FORBIDDEN, "Forbidden", format!("The access key lacks the scope {scope}"))
            }
            Self::NotFound(what) => {
                (StatusCode::NOT_FOUND, "NotFound", format!("The requested resource does not exist: {what} not found"))
            }
            Self::MethodNotAllowed(allowed) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                format!("The method is not allowed here; allowed: {allowed}"),
            ),
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The request body did not arrive in time".to_owned())
            }
            Self::MessageIdConflict => (
                StatusCode::CONFLICT,
                "MessageIdConflict",
                "Another request was accepted under this messageId".to_owned(),
            ),
            Self::AlreadySent => (StatusCode::CONFLICT, "AlreadySent", ALREADY_SENT.to_owned()),
            Self::NotReplayable(why) => (StatusCode::CONFLICT, "NotReplayable", why.clone()),
            Self::ActionExpired => (StatusCode::CONFLICT, "ActionExpired", ACTION_EXPIRED.to_owned()),
            Self::ResourceAlreadyExists(why) => (StatusCode::CONFLICT, "ResourceAlreadyExists", (*why).to_owned()),
            Self::PayloadTooLarge(limit) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "PayloadTooLarge",
                format!("The request body must not be larger than {limit} bytes"),
            ),
            Self::UnsupportedMediaType(why) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", (*why).to_owned())
            }
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "The workspace makes more requests a second than it may".to_owned(),
            ),
            Self::QueueFull { why, .. } => (StatusCode::TOO_MANY_REQUESTS, "QueueFull", format!("Not stored: {why}")),
            Self::InvalidPayload(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "InvalidPayload",
                "One or more fields provided in the request body are malformed".to_owned(),
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The request could not be processed".to_owned())
            }
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Unavailable",
                "Not stored: the database is unavailable. Safe to repeat with the same messageId".to_owned(),
            ),
            Self::OutcomeUnknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Unavailable",
                "The database gave no answer, the message may have been stored. Repeat with the same messageId"
                    .to_owned(),
            ),
        }
    }

    /// The error of one violation.
    pub(crate) fn violation(path: &str, text: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(path, text);
        Self::InvalidPayload(violations)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().1)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, message) = self.row();
        let details = if let Self::InvalidPayload(violations) = self { Some(violations.by_path()) } else { None };
        let mut response = HttpResponse::build(status);
        match self {
            Self::Unavailable | Self::OutcomeUnknown => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
            }
            Self::TooManyRequests => {
                response.insert_header((header::RETRY_AFTER, WINDOW_SECONDS.to_string()));
            }
            Self::QueueFull { retry_after_seconds, .. } => {
                response.insert_header((header::RETRY_AFTER, retry_after_seconds.to_string()));
            }
            Self::MethodNotAllowed(allowed) => {
                response.insert_header((header::ALLOW, *allowed));
            }
            Self::Unauthorized(_) => {
                response.insert_header((header::WWW_AUTHENTICATE, "AccessKey"));
            }
            // What is left of a body that was not read must not be taken for the next request.
            Self::PayloadTooLarge(_) | Self::RequestTimeout | Self::UnsupportedMediaType(_) => {
                response.force_close();
            }
            Self::MalformedRequest(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::MessageIdConflict
            | Self::AlreadySent
            | Self::NotReplayable(_)
            | Self::ActionExpired
            | Self::ResourceAlreadyExists(_)
            | Self::InvalidPayload(_)
            | Self::Internal => {}
        }
        response.json(ErrorBody { code, message: &message, details })
    }
}

impl ApiError {
    /// The same where something is stored already.
    pub(crate) fn once_stored(self) -> Self {
        if self == Self::Unavailable { Self::OutcomeUnknown } else { self }
    }
}

impl From<store::error::Error> for ApiError {
    /// The cause is logged here, once, within the request's span.
    fn from(error: store::error::Error) -> Self {
        match error {
            store::error::Error::Unavailable(_) => {
                tracing::warn!(%error, "refused: the database is unavailable");
                Self::Unavailable
            }
            store::error::Error::Unknown(_) => {
                tracing::warn!(%error, "refused: the database gave no answer");
                Self::OutcomeUnknown
            }
            store::error::Error::Exists => Self::ResourceAlreadyExists("The resource exists already"),
            store::error::Error::Refused { .. }
            | store::error::Error::Corrupt(_)
            | store::error::Error::Configuration(_)
            | store::error::Error::Migration(_) => {
                tracing::error!(%error, "a request could not be processed");
                Self::Internal
            }
        }
    }
}
