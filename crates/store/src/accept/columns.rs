//! Messages as the columns that the accepting statement takes.

use domain::failure::FailureCode;
use domain::id::MessageId;
use domain::message::{MessageKey, Tag};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::NewMessage;
use crate::error::Error;
use crate::message::WAITING;

/// Rows a tag is counted in.
pub(crate) const TAG_SLOTS: i32 = 16;
/// Where failures come from that are decided here.
const TUMA: &str = "tuma";

/// Columns, in the order of the statement's parameters.
pub(super) struct Columns<'a> {
    workspaces: Vec<Uuid>,
    ids: Vec<Uuid>,
    channels: Vec<Uuid>,
    contacts: Vec<Option<Uuid>>,
    recipients: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a str>>,
    fingerprints: Vec<&'a [u8]>,
    bodies: Vec<&'a str>,
    parts: Vec<String>,
    references: Vec<&'a str>,
    tags: Vec<String>,
    metas: Vec<&'a str>,
    scheduled: Vec<Option<Timestamp>>,
    expires: Vec<Timestamp>,
    due: Vec<Timestamp>,
    lanes: Vec<i16>,
    created: Vec<Timestamp>,
    templates: Vec<Option<&'a str>>,
    options: Vec<String>,
    use_cases: Vec<Option<&'a str>>,
    batches: Vec<Option<Uuid>>,
    collapse_ids: Vec<Option<Uuid>>,
    failure_codes: Vec<Option<i32>>,
    reasons: Vec<&'a str>,
    statuses: Vec<&'static str>,
    due_reasons: Vec<&'static str>,
}

impl<'a> Columns<'a> {
    /// The columns of messages; those over the frequency cap become rejected.
    pub(super) fn of(messages: &'a [NewMessage], capped: &[MessageId]) -> Result<Self, Error> {
        let all = || messages.iter();
        let failure = |message: &NewMessage| match &message.rejected {
            Some(rejection) => Some(rejection.code),
            None => capped.contains(&message.id).then_some(FailureCode::FrequencyCapped),
        };
        Ok(Self {
            workspaces: all().map(|m| m.workspace.0).collect(),
            ids: all().map(|m| m.id.0).collect(),
            channels: all().map(|m| m.channel.0).collect(),
            contacts: all().map(|m| m.recipient.as_ref().map(|(contact, _)| contact.0)).collect(),
            recipients: all().map(|m| m.recipient.as_ref().map(|(_, number)| number.e164())).collect(),
            keys: all().map(|m| m.key.as_ref().map(MessageKey::as_str)).collect(),
            fingerprints: all().map(|m| m.fingerprint.as_slice()).collect(),
            bodies: all().map(|m| m.body.as_str()).collect(),
            parts: json(all().map(|m| &m.parts))?,
            references: all().map(|m| m.reference.as_str()).collect(),
            tags: all().map(|m| m.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",")).collect(),
            metas: all().map(|m| m.meta.as_str()).collect(),
            scheduled: all().map(|m| m.scheduled_for).collect(),
            expires: all().map(|m| m.expires_at).collect(),
            due: all().map(|m| m.due_at).collect(),
            lanes: all().map(|m| m.lane.number()).collect(),
            created: all().map(|m| m.created_at).collect(),
            templates: all().map(|m| m.template.as_deref()).collect(),
            options: json(all().map(|m| &m.options))?,
            use_cases: all().map(|m| m.use_case.as_deref()).collect(),
            batches: all().map(|m| m.batch).collect(),
            collapse_ids: all().map(NewMessage::collapse_id).collect(),
            failure_codes: all().map(|m| failure(m).map(FailureCode::number)).collect(),
            statuses: all().map(|m| failure(m).map_or(WAITING, |code| code.row().2.as_str())).collect(),
            due_reasons: all().map(|m| m.due_reason.as_str()).collect(),
            reasons: all().map(|m| m.rejected.as_ref().map_or("", |rejection| &rejection.reason)).collect(),
        })
    }

    /// The statement's parameters.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 28] {
        [
            &self.workspaces,
            &self.ids,
            &self.channels,
            &self.contacts,
            &self.recipients,
            &self.keys,
            &self.fingerprints,
            &self.bodies,
            &self.parts,
            &self.references,
            &self.tags,
            &self.metas,
            &self.scheduled,
            &self.expires,
            &self.due,
            &self.lanes,
            &self.created,
            &self.templates,
            &self.options,
            &self.use_cases,
            &self.batches,
            &self.collapse_ids,
            &self.failure_codes,
            &self.reasons,
            &self.statuses,
            &self.due_reasons,
            &TUMA,
            &TAG_SLOTS,
        ]
    }
}

fn json<'a, T: serde::Serialize + 'a>(values: impl Iterator<Item = &'a T>) -> Result<Vec<String>, Error> {
    values.map(serde_json::to_string).collect::<Result<_, _>>().map_err(Error::corrupt)
}
