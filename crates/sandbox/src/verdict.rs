//! What an account without faults makes of a request, and how a rule's answer changes its end.
//!
//! Pure, like `behaviour`: the state it needs was looked up before. A rule may replace the answer,
//! but never turns a refused request into a message.

use jiff::Timestamp;

use crate::answer::{Kind, latin1};
use crate::behaviour::{Refusal, framework};
use crate::envelope;
use crate::known::First;
use crate::ledger::Outcome;
use crate::reply::Action;
use crate::response::Response;
use crate::script::Script;

/// The page a gateway in front of the provider would show.
const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A message for the recipient.
    Deliver(Success),
    /// No message, but the answer of the first one.
    Repeat(Success),
    /// Neither.
    Refuse(Refusal),
}

/// What a successful answer says.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) result: First,
    pub(crate) status_desc: &'static str,
}

impl Verdict {
    /// The result of the message to deliver, if there is one.
    pub(crate) fn delivers(&self) -> Option<&First> {
        match self {
            Self::Deliver(success) => Some(&success.result),
            Self::Repeat(_) | Self::Refuse(_) => None,
        }
    }

    /// The result the ordinary answer tells.
    pub(crate) fn tells(&self) -> Option<&First> {
        match self {
            Self::Deliver(success) | Self::Repeat(success) => Some(&success.result),
            Self::Refuse(_) => None,
        }
    }

    /// The ordinary answer.
    pub(crate) fn response(&self, script: &Script, now: Timestamp, path: &str) -> Response {
        match self {
            Self::Deliver(success) | Self::Repeat(success) => {
                let First { message_id, wa_id, .. } = &success.result;
                Response::json(200, envelope::sent(now, message_id, wa_id, success.status_desc))
            }
            Self::Refuse(refusal) => refusal.response(script, now, path),
        }
    }

    /// The word for the ledger, given the answer that is sent in fact.
    pub(crate) fn outcome(&self, kind: &Kind) -> Outcome {
        match kind {
            Kind::Normal {} => match self {
                Self::Deliver(_) => Outcome::Sent,
                Self::Repeat(_) => Outcome::Duplicate,
                Self::Refuse(refusal) => refusal.outcome(),
            },
            Kind::EnvelopeError { .. } => Outcome::Error,
            Kind::Hang {} | Kind::HalfClose {} | Kind::Reset {} | Kind::Close {} => Outcome::Dropped,
            Kind::Framework { .. }
            | Kind::Status { .. }
            | Kind::Empty { .. }
            | Kind::Html { .. }
            | Kind::CutJson {}
            | Kind::Garbage { .. }
            | Kind::Redirect { .. }
            | Kind::Endless {}
            | Kind::Drip { .. } => Outcome::Faulted,
        }
    }
}

/// How a request ends whose ordinary answer is `ordinary`.
pub(crate) fn action(kind: &Kind, ordinary: Response, now: Timestamp, path: &str) -> Action {
    let response = match kind {
        Kind::Normal {} => ordinary,
        Kind::EnvelopeError { message, status, errors } => {
            Response::json(*status, envelope::error(now, message, errors))
        }
        Kind::Framework { status } => framework(now, *status, path),
        Kind::Status { status, headers, body } => {
            let response = Response::json(*status, body.clone().into_bytes());
            headers.iter().fold(response, |response, (name, value)| response.with(name, value))
        }
        Kind::Empty { status } => Response::empty(*status),
        Kind::Html { status } => Response { content_type: "text/html", ..Response::json(*status, HTML.into()) },
        Kind::Redirect { status, location } => Response::empty(*status).with("Location", location),
        Kind::CutJson {} => return Action::Cut(ordinary),
        Kind::Garbage { bytes } => return Action::Raw(latin1(bytes).unwrap_or_default()),
        Kind::Endless {} => return Action::Endless,
        Kind::Drip { bytes_per_second } => return Action::Drip(ordinary, *bytes_per_second),
        Kind::Hang {} => return Action::Hang,
        Kind::HalfClose {} => return Action::HalfClose,
        Kind::Reset {} => return Action::Reset,
        Kind::Close {} => return Action::Close,
    };
    Action::Answer(response)
}
