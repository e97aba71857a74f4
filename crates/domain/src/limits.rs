//! Limits of what is accepted, each with its source.
//!
//! Lengths of texts that a phone shows are counted in UTF-16 code units, as WhatsApp counts them.

use jiff::SignedDuration;

/// Text of a text message, UTF-16 units (Meta, "Text messages").
pub const TEXT_UNITS_MAX: usize = 4096;
/// `messageId`, characters (contract, section 2).
pub const MESSAGE_KEY_CHARS_MAX: usize = 128;
/// `reference`, characters. The Channels API names no limit; this one keeps a row small.
pub const REFERENCE_CHARS_MAX: usize = 256;
/// Tags a message (Channels API, send a message).
pub const TAGS_MAX: usize = 10;
/// Characters of one tag (Channels API, send a message).
pub const TAG_CHARS_MAX: usize = 50;
/// How far ahead `scheduledFor` may be: 35 days (Channels API, send a message).
pub const SCHEDULE_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(35 * 24);
/// Longest `validity`, seconds: 35 days (contract, section 2).
pub const VALIDITY_SECONDS_MAX: i64 = 3_024_000;
/// `validity` where none is given, seconds: 36 hours (Channels API, send a message).
pub const VALIDITY_SECONDS_DEFAULT: i64 = 129_600;
/// `validity` where none is given on a channel for one-time passwords, seconds.
pub const VALIDITY_SECONDS_DEFAULT_2FA: i64 = 600;
/// Calls of one part that count, before a message fails (contract, section 9).
pub const TRIES_MAX: u16 = 10;
/// Messages a second of a channel where no other rate is set (Meta, "Throughput").
pub const MESSAGES_PER_SECOND_DEFAULT: u32 = 80;
/// Highest settable rate: Meta's automatic upgrade (Meta, "Throughput").
pub const MESSAGES_PER_SECOND_MAX: u32 = 1000;

/// Length of a text as WhatsApp counts it.
#[must_use]
pub fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}
