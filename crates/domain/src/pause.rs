//! Pauses: while one holds, the messages that it covers are accepted and not sent.
//!
//! A pause begins when it is made. It is over when somebody ends it, which makes it a thing of the past that nobody asks
//! here, or when its time has come. It takes no part in what is refused: nobody knows beforehand when it will be ended.

use jiff::Timestamp;

use crate::id::{ChannelId, PauseId};
use crate::limits::{PAUSE_AHEAD_MAX, PAUSE_REASON_CHARS_MAX};
use crate::message::Tag;

/// A pause that nobody has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Its id; of two pauses the newer one has the greater.
    pub id: PauseId,
    /// What it covers.
    pub scope: PauseScope,
    /// Why, for people.
    pub reason: String,
    /// Who made it.
    pub actor: String,
    /// When it is over by itself; `None` when it is not.
    pub until: Option<Timestamp>,
    /// Made at.
    pub created_at: Timestamp,
}

/// What a pause covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PauseScope {
    /// All messages of its workspace.
    Workspace,
    /// The messages of one channel.
    Channel(ChannelId),
    /// Messages with a tag, whatever their channel.
    Tag(Tag),
}

impl PauseScope {
    /// The words of the API, in the order they are documented.
    pub const WORDS: [&'static str; 3] = ["workspace", "channel", "tag"];

    /// The word of the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Channel(_) => "channel",
            Self::Tag(_) => "tag",
        }
    }

    /// The channel, if it is one channel's.
    #[must_use]
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Channel(channel) => Some(*channel),
            Self::Workspace | Self::Tag(_) => None,
        }
    }

    /// The tag, if it is one tag's.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Tag(tag) => Some(tag.as_str()),
            Self::Workspace | Self::Channel(_) => None,
        }
    }
}

/// `the workspace`, `channel 4b1f…`, `tag promo`.
impl std::fmt::Display for PauseScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workspace => f.write_str("the workspace"),
            Self::Channel(channel) => write!(f, "channel {channel}"),
            Self::Tag(tag) => write!(f, "tag {}", tag.as_str()),
        }
    }
}

impl Pause {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| until > at)
    }

    /// Whether it covers messages of a channel with these tags.
    #[must_use]
    pub fn covers(&self, channel: ChannelId, tags: &[impl AsRef<str>]) -> bool {
        match &self.scope {
            PauseScope::Workspace => true,
            PauseScope::Channel(own) => *own == channel,
            PauseScope::Tag(own) => tags.iter().any(|tag| tag.as_ref() == own.as_str()),
        }
    }

    /// When it is over; never comes after everything else.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp::MAX)
    }
}

/// `pause 0f3c… of tag promo: the offer is wrong`.
impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pause {} of {}: {}", self.id, self.scope, self.reason)
    }
}

/// Of the pauses that hold at an instant the one that does so for longest, the newest of equals.
#[must_use]
pub fn longest<'a>(pauses: impl IntoIterator<Item = &'a Pause>, at: Timestamp) -> Option<&'a Pause> {
    let holding = pauses.into_iter().filter(|pause| pause.holds_at(at));
    holding.max_by_key(|pause| (pause.over_at(), pause.id))
}

/// The pause that holds messages of a channel with these tags for longest.
#[must_use]
pub fn covering<'a>(
    pauses: &'a [Pause],
    channel: ChannelId,
    tags: &[impl AsRef<str>],
    at: Timestamp,
) -> Option<&'a Pause> {
    longest(pauses.iter().filter(|pause| pause.covers(channel, tags)), at)
}

/// Checks the reason of a pause.
///
/// # Errors
/// The text of the violation.
pub fn check_reason(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > PAUSE_REASON_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {PAUSE_REASON_CHARS_MAX} characters without control characters"));
    }
    Ok(text.to_owned())
}

/// Checks when a pause is to be over.
///
/// # Errors
/// The text of the violation.
pub fn check_until(now: Timestamp, until: Timestamp) -> Result<Timestamp, String> {
    if until <= now {
        return Err("must be in the future".to_owned());
    }
    if until.duration_since(now) > PAUSE_AHEAD_MAX {
        return Err("must not be more than 365 days ahead".to_owned());
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(7));
    const OTHER: ChannelId = ChannelId(Uuid::from_u128(8));

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    fn tag(text: &str) -> Tag {
        Tag::new(text).expect("a tag")
    }

    fn pause(id: u128, scope: PauseScope, until: Option<i64>) -> Pause {
        let (reason, actor) = ("the offer is wrong".to_owned(), "access-key 1".to_owned());
        Pause {
            id: PauseId(Uuid::from_u128(id)),
            scope,
            reason,
            actor,
            until: until.map(second),
            created_at: second(0),
        }
    }

    #[test]
    fn a_pause_holds_until_its_instant_and_without_one_for_ever() {
        for (until, at, expected) in
            [(Some(10), 9, true), (Some(10), 10, false), (Some(10), 11, false), (None, 10, true)]
        {
            assert_eq!(pause(1, PauseScope::Workspace, until).holds_at(second(at)), expected, "{until:?} at {at}");
        }
    }

    #[test]
    fn a_pause_covers_its_workspace_its_channel_or_its_tag_wherever_that_is() {
        let tags = [tag("orders"), tag("promo")];
        for (scope, channel, tags, expected) in [
            (PauseScope::Workspace, OTHER, &tags[..0], true),
            (PauseScope::Channel(CHANNEL), CHANNEL, &tags[..0], true),
            (PauseScope::Channel(CHANNEL), OTHER, &tags[..], false),
            (PauseScope::Tag(tag("Promo")), OTHER, &tags[..], true),
            (PauseScope::Tag(tag("promo")), CHANNEL, &tags[..1], false),
            (PauseScope::Tag(tag("promo")), CHANNEL, &tags[..0], false),
        ] {
            assert_eq!(pause(1, scope.clone(), None).covers(channel, tags), expected, "{scope:?} {channel} {tags:?}");
        }
    }

    #[track_caller]
    fn check_longest(pauses: &[(u128, Option<i64>)], expected: Option<u128>) {
        let pauses: Vec<Pause> = pauses.iter().map(|(id, until)| pause(*id, PauseScope::Workspace, *until)).collect();
        let found = longest(&pauses, second(10)).map(|pause| pause.id.0.as_u128());
        assert_eq!(found, expected, "{pauses:?}");
    }

    #[test]
    fn of_several_the_one_counts_that_holds_longest() {
        check_longest(&[], None);
        check_longest(&[(1, Some(10))], None);
        check_longest(&[(1, Some(30)), (2, Some(20))], Some(1));
        check_longest(&[(2, Some(20)), (1, None), (3, Some(30))], Some(1));
        check_longest(&[(2, None), (3, None), (1, None)], Some(3));
        check_longest(&[(4, Some(9)), (1, Some(11))], Some(1));
    }

    #[test]
    fn what_does_not_cover_a_message_does_not_count_however_long_it_holds() {
        let pauses = [pause(1, PauseScope::Tag(tag("promo")), Some(20)), pause(2, PauseScope::Channel(OTHER), None)];
        assert_eq!(covering(&pauses, CHANNEL, &[tag("promo")], second(10)), Some(&pauses[0]));
        assert_eq!(covering(&pauses, CHANNEL, &["promo"], second(20)), None);
        assert_eq!(covering(&pauses, OTHER, &[tag("promo")], second(10)), Some(&pauses[1]));
    }

    #[test]
    fn a_pause_says_in_one_line_what_it_is() {
        let id = "00000000-0000-0000-0000-000000000001";
        for (scope, expected) in [
            (PauseScope::Workspace, "the workspace"),
            (PauseScope::Channel(CHANNEL), "channel 00000000-0000-0000-0000-000000000007"),
            (PauseScope::Tag(tag("promo")), "tag promo"),
        ] {
            assert_eq!(PauseScope::WORDS.iter().filter(|word| **word == scope.as_str()).count(), 1);
            let text = pause(1, scope, None).to_string();
            assert_eq!(text, format!("pause {id} of {expected}: the offer is wrong"));
        }
    }

    #[test]
    fn reasons_are_a_line_of_text() {
        for good in ["a", "Der Preis stimmt nicht: 12 € 🙈", &"x".repeat(200)] {
            assert_eq!(check_reason(good).as_deref(), Ok(good));
        }
        for bad in ["", " ", "\u{a0}", "a\nb", "a\0", &"x".repeat(201)] {
            assert!(check_reason(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pause_ends_in_the_future_and_within_a_year() {
        let now = second(1_000);
        let year = now.checked_add(SignedDuration::from_hours(365 * 24)).expect("in range");
        let microsecond = SignedDuration::from_micros(1);
        for (until, is_legal) in [
            (second(999), false),
            (now, false),
            (now.checked_add(microsecond).expect("in range"), true),
            (year, true),
            (year.checked_add(microsecond).expect("in range"), false),
        ] {
            assert_eq!(check_until(now, until).is_ok(), is_legal, "{until}");
        }
    }
}
