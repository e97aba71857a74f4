//! What an answer of Lipachat means: a table, read from the top, the first row that fits decides.
//!
//! Total: the last row fits everything. Each row names its evidence; "docs" are Lipachat's pages, "clients" public
//! programs that use it, "Meta" WhatsApp's own error codes, which arrive as text if at all. A row that only guesses is
//! not `classified`, and the engine counts it. A row that is `open` proves nothing: the part may have been taken. Channels that hold
//! what may have been sent do not repeat it then; the others do as the row says.

use domain::failure::FailureCode;
use domain::outcome::{Outcome, Report, bounded_detail};
use domain::planted::{self, Bug};

use crate::wire::answer::{Answer, Reading, Shape, read};

/// How a call went, below the level of answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// An answer came, whole or cut at our bound.
    Answered(Answer),
    /// No connection was made: nothing was written.
    NotConnected(String),
    /// The request was written, at least in part, and no whole answer came.
    Broken(String),
}

/// What a row looks at.
enum When {
    /// HTTP status within these bounds.
    Status(u16, u16),
    /// HTTP status within these bounds and a body that names the message.
    Named(u16, u16),
    /// `status: "success"` that names nothing, and one of these words in the texts; not in a 5xx.
    EmptySuccess(&'static [&'static str]),
    /// `status: "error"`, and one of these words in the texts; not in a 5xx, which says that the provider itself failed.
    ErrorText(&'static [&'static str]),
    /// `status: "success"` that names nothing.
    AnyEmptySuccess,
    /// `status: "error"`.
    AnyError,
    /// Anything.
    Always,
}

/// What a row says.
enum Means {
    Sent,
    CredentialsRefused,
    RateLimited,
    Refused(FailureCode),
    Duplicate,
    TryAgain,
    Unknown,
}

struct Row {
    name: &'static str,
    when: When,
    means: Means,
    classified: bool,
    /// Whether the part may have been taken.
    is_open: bool,
}

const fn row(name: &'static str, when: When, means: Means) -> Row {
    Row { name, when, means, classified: true, is_open: false }
}

const fn guess(name: &'static str, when: When, means: Means) -> Row {
    Row { name, when, means, classified: false, is_open: false }
}

/// The row for an answer that does not tell whether the part was taken.
const fn open(row: Row) -> Row {
    Row { is_open: true, ..row }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // docs (text, media, flow pages): the wrong key's body has status "success"; its HTTP status is not told: 401 is possible.
    row("credentials-status", When::Status(401, 401), Means::CredentialsRefused),
    row("credentials-forbidden", When::Status(403, 403), Means::CredentialsRefused),
    // RFC 6585; Meta's own limits surface so at some providers.
    row("rate-limit-status", When::Status(429, 429), Means::RateLimited),
    // docs (every sending page): success names the message. Nothing less is sent.
    row("sent", When::Named(200, 299), Means::Sent),
    // docs (text, media, flow pages): {"data":null,"status":"success","message":"Invalid credentials"}.
    row("credentials-body", When::EmptySuccess(CREDENTIAL_WORDS), Means::CredentialsRefused),
    // clients (one, defensive): the same text in an error envelope.
    row("credentials-error", When::ErrorText(CREDENTIAL_WORDS), Means::CredentialsRefused),
    // clients (provider's own module): text of an expired sandbox session; Meta 131047 outside the 24-hour window.
    row("session-closed", When::ErrorText(&["session window", "24-hour", "24 hour", "131047", "re-engagement"]), Means::Refused(FailureCode::SessionClosed)),
    // Meta 131056: too many to one recipient; concerns the pair, not the channel.
    row("pair-limit", When::ErrorText(&["131056", "pair rate"]), Means::TryAgain),
    // Meta 130429, 131048, 80007; common wording.
    row("rate-limit-text", When::ErrorText(&["rate limit", "rate-limit", "too many requests", "130429", "131048", "80007"]), Means::RateLimited),
    // Meta 132000-132016.
    row("template", When::ErrorText(&["132000", "132001", "132005", "132007", "132012", "132015", "132016"]), Means::Refused(FailureCode::TemplateUnavailable)),
    row("template-text", When::ErrorText(&["template"]), Means::Refused(FailureCode::TemplateUnavailable)),
    // Meta 131026 undeliverable; 131049 and 130472 chose not to deliver.
    row("recipient", When::ErrorText(&["131026", "131049", "130472", "undeliverable", "not a whatsapp user", "not on whatsapp"]), Means::Refused(FailureCode::RecipientUnreachable)),
    // docs say of messageId "for deduplication purposes"; the answer to a repeated one is not told.
    row("duplicate-text", When::ErrorText(&["duplicate", "already exists", "already been sent", "already sent"]), Means::Duplicate),
    row("duplicate-status", When::Status(409, 409), Means::Duplicate),
    // clients (one): the sender is not a number of the account.
    row("sender-not-found", When::ErrorText(&["not found"]), Means::Refused(FailureCode::InvalidMessage)),
    // Meta 100, 131008, 131009, 131051: parameters.
    row("invalid-text", When::ErrorText(&["131008", "131009", "131051", "(#100)"]), Means::Refused(FailureCode::InvalidMessage)),
    // docs (text page): framework body with 400. 413 and 422 by the framework's defaults.
    row("invalid-status", When::Status(400, 400), Means::Refused(FailureCode::InvalidMessage)),
    row("too-large-status", When::Status(413, 413), Means::Refused(FailureCode::InvalidMessage)),
    row("unprocessable-status", When::Status(422, 422), Means::Refused(FailureCode::InvalidMessage)),
    // docs (flow pages): "Request failed." says nothing of the cause.
    row("request-failed", When::ErrorText(&["request failed"]), Means::TryAgain),
    // RFC 9110, section 15.6.4: overloaded or in maintenance; it did not look at the request.
    row("unavailable-status", When::Status(503, 503), Means::TryAgain),
    // It failed, or a proxy before it: 502 and 504 say that the request was passed on, 500 that it was begun.
    open(row("server-error", When::Status(500, 599), Means::TryAgain)),
    // RFC 9110, section 15.5.9: it did not see all of the request, as far as it or a proxy could tell.
    open(row("request-timeout", When::Status(408, 408), Means::TryAgain)),
    // Never followed: the key must not travel to another host.
    row("redirect", When::Status(300, 399), Means::TryAgain),
    // Says that the address is wrong, not the message: a proxy without its backend answers so, too.
    guess("not-found-status", When::Status(404, 405), Means::TryAgain),
    guess("media-type-status", When::Status(415, 415), Means::TryAgain),
    guess("unclassified-error", When::AnyError, Means::TryAgain),
    // Says success and names nothing: perhaps sent.
    open(guess("unclassified-success", When::AnyEmptySuccess, Means::Unknown)),
    guess("unclassified-refusal", When::Status(400, 499), Means::TryAgain),
    // A 2xx that is cut, empty, or no JSON of a known shape.
    open(guess("unclassified-answer", When::Always, Means::TryAgain)),
];

const CREDENTIAL_WORDS: &[&str] = &["credential", "api key", "apikey", "unauthorized", "unauthorised"];

/// Decides what a call came to.
#[must_use]
pub fn classify(transport: &Transport) -> Report {
    match transport {
        Transport::Answered(answer) => classify_answer(answer),
        // Nothing was written: certain.
        Transport::NotConnected(error) => Report {
            outcome: Outcome::NotConnected,
            rule: "not-connected",
            http_status: None,
            detail: bounded_detail(error),
            classified: true,
            retry_after: None,
            may_be_taken: false,
        },
        // Written and not answered: it may be with the recipient already.
        Transport::Broken(error) => Report {
            outcome: Outcome::Unknown,
            rule: "no-answer",
            http_status: None,
            detail: bounded_detail(error),
            classified: true,
            retry_after: None,
            may_be_taken: true,
        },
    }
}

fn classify_answer(answer: &Answer) -> Report {
    let reading = read(answer);
    let fitting = ROWS.iter().find(|row| row.fits(answer, &reading)).unwrap_or(&ROWS[ROWS.len() - 1]);
    let outcome = match fitting.means {
        Means::Sent if planted::is(Bug::AnySuccessIsSent) => Outcome::Sent { message_id: None, wa_id: None },
        Means::Sent => sent(&reading),
        Means::CredentialsRefused => Outcome::CredentialsRefused,
        Means::RateLimited => Outcome::RateLimited,
        Means::Refused(code) => Outcome::Refused(code),
        Means::Duplicate => Outcome::Duplicate,
        Means::TryAgain => Outcome::TryAgain,
        Means::Unknown => Outcome::Unknown,
    };
    // Elsewhere it speaks of the one request, such as of a redirect.
    let is_asked_of_the_channel = outcome == Outcome::RateLimited || answer.status >= 500;
    Report {
        outcome,
        rule: fitting.name,
        http_status: Some(answer.status),
        detail: bounded_detail(&reading.text),
        classified: fitting.classified,
        retry_after: answer.retry_after.filter(|_| is_asked_of_the_channel),
        may_be_taken: fitting.is_open,
    }
}

fn sent(reading: &Reading) -> Outcome {
    match &reading.shape {
        Shape::Success { message_id, wa_id } => Outcome::Sent { message_id: message_id.clone(), wa_id: wa_id.clone() },
        // The row fits success with names only; anything else would be a fault of the table.
        Shape::EmptySuccess | Shape::Error | Shape::OtherJson | Shape::NotJson => Outcome::Unknown,
    }
}

impl Row {
    fn fits(&self, answer: &Answer, reading: &Reading) -> bool {
        let within = |low, high| (low..=high).contains(&answer.status);
        let text = reading.text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match self.when {
            When::Status(low, high) => within(low, high),
            When::Named(low, high) if planted::is(Bug::AnySuccessIsSent) => within(low, high),
            When::Named(low, high) => within(low, high) && matches!(reading.shape, Shape::Success { .. }),
            When::EmptySuccess(words) => reading.shape == Shape::EmptySuccess && answer.status < 500 && says(words),
            When::ErrorText(words) => reading.shape == Shape::Error && answer.status < 500 && says(words),
            When::AnyEmptySuccess => matches!(reading.shape, Shape::EmptySuccess | Shape::Success { .. }),
            When::AnyError => reading.shape == Shape::Error,
            When::Always => true,
        }
    }
}

#[cfg(test)]
mod tests;
