//! What accepting one message computes, step by step, without HTTP and database: for measuring where its time goes.
//!
//! The functions are those of `routes::messages`, in the order in which a request meets them; nothing is stored.

use jiff::Timestamp;
use store::accept::{Accepted, NewMessage};
use store::channel::Channel;
use store::workspace::Workspace;

use crate::admission::{as_stored, fingerprint, new_message};
use crate::json;
use crate::routes::messages;
use crate::wire::mentions::Known;
use crate::wire::request::Context;
use crate::wire::response::view;

/// A step that has been taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The body's bytes became JSON.
    Json,
    /// The JSON became a request without violations.
    Request,
    /// The canonical request was hashed.
    Fingerprint,
    /// The request became the message that is stored.
    Message,
    /// The message became the text of its 202.
    Answer,
}

/// What messages are accepted on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ground {
    /// The channel.
    pub channel: Channel,
    /// Its workspace.
    pub workspace: Workspace,
}

/// Takes all steps, and tells `taken` after each.
///
/// # Errors
/// What is wrong with the body, as words for people.
pub fn walk(
    Ground { channel, workspace }: &Ground,
    body: &[u8],
    now: Timestamp,
    taken: &mut impl FnMut(Step),
) -> Result<(NewMessage, Vec<u8>), String> {
    let body = json::parse(body)?;
    taken(Step::Json);
    let (known, link_parameters) = (Known::default(), &workspace.link_parameters);
    let sender = &channel.settings.number;
    let context = Context { now, header_key: Ok(None), sender, known: &known, link_parameters };
    let request = messages::read(&body, channel, context).map_err(|violations| format!("{violations:?}"))?;
    taken(Step::Request);
    let hash = fingerprint(channel, &body);
    taken(Step::Fingerprint);
    let message = new_message(channel, workspace, request, hash, now);
    taken(Step::Message);
    let stored = as_stored(channel, workspace, &message, Accepted::New);
    let shown = view(&stored).map_err(|error| error.to_string())?;
    let answer = serde_json::to_vec(&shown).map_err(|error| error.to_string())?;
    taken(Step::Answer);
    Ok((message, answer))
}

#[cfg(test)]
mod tests {
    use domain::content::LongitudeSpelling;
    use domain::id::{ChannelId, OrganizationId, WorkspaceId};
    use domain::links::LinkParameters;
    use domain::message::MessageType;
    use domain::options::FrequencyCap;
    use domain::phone::PhoneNumber;
    use domain::spacing::RecipientRate;
    use store::channel::{ChannelSettings, ChannelStatus};
    use store::workspace::RequestLimits;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn all_steps_are_told_in_order_and_the_answer_shows_the_message() {
        let settings = ChannelSettings {
            name: "test".to_owned(),
            number: PhoneNumber::parse("+254110090747").expect("a number"),
            message_type: MessageType::Transactional,
            messages_per_second: 80,
            status: ChannelStatus::Active,
            longitude_spelling: LongitudeSpelling::Both,
            account_messages_per_second: None,
            recipient_rate: RecipientRate::default(),
            backlog_max: domain::limits::BACKLOG_DEFAULT,
            on_unknown: domain::outcome::OnUnknown::Repeat,
        };
        let now = Timestamp::UNIX_EPOCH;
        let (workspace, connector) = (WorkspaceId(Uuid::nil()), Uuid::nil());
        let id = ChannelId(Uuid::nil());
        let channel = Channel {
            id,
            workspace,
            connector,
            settings,
            quiet_hours: None,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let settings = Workspace {
            id: workspace,
            organization: OrganizationId(Uuid::nil()),
            name: "test".to_owned(),
            frequency_cap: FrequencyCap { messages: 1, days: 1 },
            link_parameters: LinkParameters::default(),
            request_limits: RequestLimits { posts_per_second: 500, gets_per_second: 50 },
            body_retention_days: 30,
            weight: 1,
            quiet_hours: None,
            pauses: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let ground = Ground { channel, workspace: settings };
        let body = br#"{"receiver":{"contacts":[{"identifierValue":"+254712345678"}]},"body":{"type":"text","text":{"text":"a"}}}"#;
        let mut taken = Vec::new();
        let (message, answer) = walk(&ground, body, now, &mut |step| taken.push(step)).expect("a message");
        assert_eq!(taken, [Step::Json, Step::Request, Step::Fingerprint, Step::Message, Step::Answer]);
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["id"], message.id.to_string());
        assert_eq!(answer["body"]["text"]["text"], "a");
        assert!(walk(&ground, b"{}", now, &mut |_| {}).is_err());
    }
}
