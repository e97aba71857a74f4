//! Decides what a request would get from a provider without faults.
//!
//! Pure: a request, the account's set-up and the script go in, a send or a refusal comes out. What
//! depends on earlier requests (rate, repeated ids) the account adds. Refusals know their own body.

use jiff::Timestamp;
use serde_json::Value;

use crate::endpoints::{self, Endpoint, Job, Lookup, Send};
use crate::envelope;
use crate::field::Flaw;
use crate::ledger::Outcome;
use crate::request::Request;
use crate::response::{Response, reason};
use crate::script::Script;
use crate::settings::{Settings, contains, digits};
use crate::switches::{RateAnswer, WrongKeyAnswer};

/// A send that nothing speaks against so far.
#[derive(Debug)]
pub(crate) struct Sendable<'a> {
    pub(crate) send: &'static Send,
    pub(crate) message_id: &'a str,
    /// Recipient, digits.
    pub(crate) to: &'a str,
    /// Sender, digits.
    pub(crate) from: &'a str,
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No such path.
    NoSuchPath,
    /// The path wants one of these methods.
    WrongMethod(Vec<&'static str>),
    /// A known endpoint the sandbox does not play yet.
    NotImplemented,
    /// The body is not called JSON.
    WrongContentType,
    /// A missing, empty or wrong key.
    Credentials,
    /// Not JSON, or a field is absent or of another type.
    BadRequest,
    /// A field is longer than WhatsApp allows.
    TooLong(&'static str, usize),
    /// `from` is not the account's.
    UnknownSender,
    /// The recipient has no session with the sandbox number.
    SessionClosed,
    /// The recipient's customer service window is closed.
    WindowClosed,
    /// Too many sends of one number.
    SenderRate,
    /// Too many sends of one number to one recipient.
    PairRate,
    /// The id was accepted before, and duplicates are errors.
    DuplicateId,
}

/// What speaks against a request, as far as it can be said from the request alone.
pub(crate) fn examine<'a>(
    request: &Request,
    body: Option<&'a Value>,
    settings: &Settings,
    script: &Script,
) -> Result<Sendable<'a>, Refusal> {
    let send = find_send(request)?;
    if !is_json(request.content_type.as_deref()) {
        return Err(Refusal::WrongContentType);
    }
    if script.credentials.refuse_all || !settings.takes_key(request.api_key.as_deref()) {
        return Err(Refusal::Credentials);
    }
    let body = body.ok_or(Refusal::BadRequest)?;
    match send.flaw(body, script.strictness.names, script.strictness.limits) {
        Some(Flaw::Missing) => return Err(Refusal::BadRequest),
        Some(Flaw::TooLong { field, max }) => return Err(Refusal::TooLong(field, max)),
        None => {}
    }
    let sendable = Sendable {
        send,
        message_id: text(body, "messageId").ok_or(Refusal::BadRequest)?,
        to: digits(text(body, "to").ok_or(Refusal::BadRequest)?),
        from: digits(text(body, "from").ok_or(Refusal::BadRequest)?),
    };
    if !settings.owns_number(sendable.from) {
        return Err(Refusal::UnknownSender);
    }
    check_windows(&sendable, script)?;
    Ok(sendable)
}

/// The string field `name` of a body.
pub(crate) fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn find_send(request: &Request) -> Result<&'static Send, Refusal> {
    match endpoints::look_up(&request.method, &request.path) {
        Lookup::Found(Endpoint { job: Job::Send(send), .. }) => Ok(send),
        Lookup::Found(Endpoint { job: Job::Later, .. }) => Err(Refusal::NotImplemented),
        Lookup::OtherMethod(methods) => Err(Refusal::WrongMethod(methods)),
        Lookup::Nothing => Err(Refusal::NoSuchPath),
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let kind = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn check_windows(sendable: &Sendable<'_>, script: &Script) -> Result<(), Refusal> {
    if sendable.send.needs_no_session {
        return Ok(());
    }
    if script.session.required && !contains(&script.session.opened, sendable.to) {
        return Err(Refusal::SessionClosed);
    }
    if script.window.required && !contains(&script.window.opened, sendable.to) {
        return Err(Refusal::WindowClosed);
    }
    Ok(())
}

impl Refusal {
    /// The word for it in the ledger.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NoSuchPath | Self::WrongMethod(_) => Outcome::NoSuchEndpoint,
            Self::NotImplemented => Outcome::NotImplemented,
            Self::WrongContentType | Self::BadRequest => Outcome::BadRequest,
            Self::Credentials => Outcome::InvalidCredentials,
            Self::SenderRate | Self::PairRate => Outcome::RateLimited,
            Self::DuplicateId => Outcome::Duplicate,
            Self::TooLong(..) | Self::UnknownSender | Self::SessionClosed | Self::WindowClosed => Outcome::Error,
        }
    }

    /// The answer it gets.
    pub(crate) fn response(&self, script: &Script, now: Timestamp, path: &str) -> Response {
        match self {
            Self::NoSuchPath => framework(now, 404, path),
            Self::WrongMethod(methods) => framework(now, 405, path).with("Allow", &methods.join(", ")),
            Self::NotImplemented => framework(now, 501, path),
            Self::WrongContentType => framework(now, 415, path),
            Self::BadRequest => framework(now, 400, path),
            Self::Credentials => wrong_key(script.credentials.wrong_key_answer, now, path),
            Self::SenderRate => rate_limited(script, now, "(#130429) Rate limit hit"),
            Self::PairRate => rate_limited(script, now, "(#131056) Pair rate limit hit"),
            Self::TooLong(field, max) => {
                let name = field.trim_start_matches('/').replace('/', ".");
                business(script, now, &format!("(#131009) {name} must be at most {max} long"))
            }
            Self::UnknownSender => business(script, now, "Sender phone number not found"),
            Self::SessionClosed => business(script, now, "The recipient is outside the 24-hour sandbox session window"),
            Self::WindowClosed => {
                business(script, now, "(#131047) More than 24 hours have passed since the recipient last replied")
            }
            Self::DuplicateId => business(script, now, "Duplicate messageId"),
        }
    }
}

/// The framework's error body under its own status.
pub(crate) fn framework(now: Timestamp, status: u16, path: &str) -> Response {
    Response::json(status, envelope::framework(now, status, reason(status), path))
}

fn business(script: &Script, now: Timestamp, message: &str) -> Response {
    Response::json(script.errors.status, envelope::error(now, message, &Value::Null))
}

fn wrong_key(answer: WrongKeyAnswer, now: Timestamp, path: &str) -> Response {
    match answer {
        WrongKeyAnswer::Ok200 => Response::json(200, envelope::invalid_credentials(now)),
        WrongKeyAnswer::Unauthorized401 => Response::json(401, envelope::invalid_credentials(now)),
        WrongKeyAnswer::Framework401 => framework(now, 401, path),
    }
}

fn rate_limited(script: &Script, now: Timestamp, message: &str) -> Response {
    let mut response = business(script, now, message);
    match script.rate.answer {
        RateAnswer::Envelope => {}
        RateAnswer::Http429 => response.status = 429,
    }
    match &script.rate.retry_after {
        Some(value) => response.with("Retry-After", value),
        None => response,
    }
}
