//! What a list of messages is narrowed down by.

use domain::id::{ContactId, WorkspaceId};
use domain::lifecycle::Status;
use domain::limits::{REFERENCE_CHARS_MAX, TAGS_MAX};
use domain::message::{MessageKey, Tag, check_reference};
use domain::phone::PhoneNumber;
use domain::violation::Violations;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use store::list::Filter;
use store::message::{Direction, first_id_at};
use uuid::Uuid;

use crate::wire::platforms::Platforms;
use crate::wire::query::{Page, Parameters, not_one_of};

/// The outcome that can be asked for.
const UNKNOWN: &str = "unknown";

/// A page of messages that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MessageQuery {
    pub(crate) page: Page,
    /// All but the channel, which is in the path.
    pub(crate) filter: Filter,
    pub(crate) platforms: Platforms,
    /// Accepted at or after this instant.
    pub(crate) start_at: Option<Timestamp>,
    /// Accepted before this instant.
    pub(crate) end_at: Option<Timestamp>,
}

/// Reads the parameters of a list of the messages of a channel.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(query: &str, workspace: WorkspaceId) -> Result<MessageQuery, Violations> {
    let mut parameters = Parameters::of(query);
    let read = read_common(&mut parameters, workspace);
    parameters.finish(read)
}

/// Reads the parameters of a list of the messages of all channels, which also takes `platform`.
///
/// # Errors
/// All violations at once.
pub(crate) fn read_with_platforms(query: &str, workspace: WorkspaceId) -> Result<MessageQuery, Violations> {
    let mut parameters = Parameters::of(query);
    let platforms = Platforms::read(&mut parameters);
    let read = read_common(&mut parameters, workspace);
    parameters.finish(MessageQuery { platforms, ..read })
}

impl MessageQuery {
    /// What makes the list this one: every filter with its canonical value, an absent one empty.
    pub(crate) fn canonical(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let mut statuses: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
        let mut tags: Vec<&str> = filter.tags.iter().map(Tag::as_str).collect();
        statuses.sort_unstable();
        tags.sort_unstable();
        let text = |value: Option<&dyn ToString>| value.map(ToString::to_string).unwrap_or_default();
        vec![
            ("channel", text(filter.channel.as_ref().map(|id| id as _))),
            ("platform", self.platforms.to_string()),
            ("status", statuses.join(",")),
            ("direction", filter.direction.map(Direction::as_str).unwrap_or_default().to_owned()),
            ("outcome", if filter.is_unknown { UNKNOWN.to_owned() } else { String::new() }),
            ("tags", tags.join(",")),
            ("startAt", text(self.start_at.as_ref().map(|at| at as _))),
            ("endAt", text(self.end_at.as_ref().map(|at| at as _))),
            ("reference", filter.reference.clone().unwrap_or_default()),
            ("messageId", filter.key.as_ref().map(MessageKey::as_str).unwrap_or_default().to_owned()),
            ("receiver", text(filter.contact.as_ref().map(|id| id as _))),
            ("batchId", text(filter.batch.as_ref().map(|id| id as _))),
        ]
    }
}

fn read_common(parameters: &mut Parameters, workspace: WorkspaceId) -> MessageQuery {
    let page = parameters.page();
    let start_at = parameters.instant("startAt").map(to_millisecond);
    let end_at = parameters.instant("endAt").map(to_millisecond);
    if start_at.zip(end_at).is_some_and(|(start, end)| end < start) {
        parameters.refuse("endAt", "must not be before startAt");
    }
    let filter = Filter {
        channel: None,
        contact: read_one(parameters, "receiver", |text| contact(text, workspace)),
        batch: read_one(parameters, "batchId", batch),
        reference: read_one(parameters, "reference", reference),
        key: read_one(parameters, "messageId", MessageKey::new),
        tags: tags(parameters),
        direction: read_one(parameters, "direction", direction),
        statuses: statuses(parameters),
        is_unknown: read_one(parameters, "outcome", outcome).is_some(),
        above: start_at.map(first_id_at),
        below: end_at.map(first_id_at),
    };
    MessageQuery { page, filter, platforms: Platforms::default(), start_at, end_at }
}

/// Ids and the instants that are shown are to the millisecond: a bound between two of them is the later one.
pub(crate) fn to_millisecond(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil)).unwrap_or(at)
}

fn read_one<T>(parameters: &mut Parameters, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
    let text = parameters.one(name)?;
    parameters.keep(name, read(&text))
}

pub(crate) fn contact(text: &str, workspace: WorkspaceId) -> Result<ContactId, String> {
    let number = || PhoneNumber::parse(text).map(|number| ContactId::of_number(workspace, number.e164()));
    text.parse().or_else(|_| number()).map_err(|error| format!("{error}, or the id of a contact"))
}

/// The id of a batch, in the one spelling that ids have.
fn batch(text: &str) -> Result<Uuid, String> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH);
    id.ok_or("must be the id of a batch, a UUID".to_owned())
}

fn reference(text: &str) -> Result<String, String> {
    check_reference(text)?;
    if text.is_empty() || text.contains('\0') {
        return Err(format!("must be 1 to {REFERENCE_CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn direction(word: &str) -> Result<Direction, String> {
    let known = [Direction::Incoming, Direction::Outgoing].map(Direction::as_str);
    Direction::from_word(word).ok_or_else(|| not_one_of(word, known))
}

/// There is one outcome to ask for: the others are statuses.
fn outcome(word: &str) -> Result<(), String> {
    if word == UNKNOWN { Ok(()) } else { Err(not_one_of(word, [UNKNOWN])) }
}

fn tags(parameters: &mut Parameters) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    for text in parameters.list("tags") {
        let tag = parameters.keep("tags", Tag::new(&text));
        tags.extend(tag.filter(|tag| !tags.contains(tag)));
    }
    if tags.len() > TAGS_MAX {
        parameters.refuse("tags", format!("must be at most {TAGS_MAX}: no message has more"));
    }
    tags
}

fn statuses(parameters: &mut Parameters) -> Vec<Status> {
    let mut statuses = Vec::new();
    for word in parameters.list("status") {
        let status = Status::from_word(&word).ok_or_else(|| not_one_of(&word, Status::ALL.map(Status::as_str)));
        let status = parameters.keep("status", status);
        statuses.extend(status.filter(|status| !statuses.contains(status)));
    }
    statuses
}
