//! Limits of what is accepted, each with its source.
//!
//! Lengths of texts that a phone shows are counted in UTF-16 code units, as WhatsApp counts them.

use std::time::Duration;

use jiff::SignedDuration;

/// Text of a text message, UTF-16 units (Meta, "Text messages").
pub const TEXT_UNITS_MAX: usize = 4096;
/// Text above buttons, of a location request and of a flow message, UTF-16 units (Meta, "Interactive messages").
pub const INTERACTIVE_TEXT_UNITS_MAX: usize = 1024;
/// Text of a list, UTF-16 units (Meta, "Interactive list messages").
pub const LIST_TEXT_UNITS_MAX: usize = 4096;
/// Header of a list, UTF-16 units (Meta, same page).
pub const LIST_HEADER_UNITS_MAX: usize = 60;
/// Label of the button that opens a list, UTF-16 units (Meta, same page).
pub const LIST_BUTTON_UNITS_MAX: usize = 20;
/// Sections of a list, and rows over all its sections (Meta, same page; Lipachat docs, "Sending Interactive Lists").
pub const LIST_SECTIONS_MAX: usize = 10;
/// Rows over all sections of a list.
pub const LIST_ROWS_MAX: usize = 10;
/// Title of a section, UTF-16 units (Meta, same page).
pub const SECTION_TITLE_UNITS_MAX: usize = 24;
/// Id of a row, UTF-16 units (Meta, same page).
pub const ROW_ID_UNITS_MAX: usize = 200;
/// Title of a row, UTF-16 units (Meta, same page).
pub const ROW_TITLE_UNITS_MAX: usize = 24;
/// Description of a row, UTF-16 units (Meta, same page).
pub const ROW_DESCRIPTION_UNITS_MAX: usize = 72;
/// Buttons of a message (Lipachat docs, "Sending Buttons").
pub const BUTTONS_MAX: usize = 3;
/// Id of a button, UTF-16 units (Meta, reply buttons).
pub const BUTTON_ID_UNITS_MAX: usize = 256;
/// Label of a button, UTF-16 units (Meta, reply buttons).
pub const BUTTON_TITLE_UNITS_MAX: usize = 20;
/// Text below a file, UTF-16 units (providers' pages repeating Meta).
pub const CAPTION_UNITS_MAX: usize = 1024;
/// Label of a flow's button, UTF-16 units (Meta, "Flow messages").
pub const FLOW_CTA_UNITS_MAX: usize = 20;
/// Address of a file, characters.
pub const URL_CHARS_MAX: usize = 2048;
/// Files of one message: each is a call of its own.
pub const FILES_MAX: usize = 30;
/// Names, labels and addresses that no source limits, UTF-16 units: keeps a row small.
pub const LABEL_UNITS_MAX: usize = 256;
/// Numbers of a contact card.
pub const CONTACT_PHONES_MAX: usize = 20;
/// Name of a template, characters (providers' pages repeating Meta).
pub const TEMPLATE_NAME_CHARS_MAX: usize = 512;
/// Text of a template's header, UTF-16 units: its parameter cannot be longer (Meta, "Template components").
pub const TEMPLATE_HEADER_UNITS_MAX: usize = 60;
/// Text of a template's body, UTF-16 units: no parameter can be longer (Meta, same page).
pub const TEMPLATE_BODY_UNITS_MAX: usize = 1024;
/// Placeholders of a template's body, and its buttons (providers' pages repeating Meta).
pub const TEMPLATE_PLACEHOLDERS_MAX: usize = 100;
/// Buttons of a template.
pub const TEMPLATE_BUTTONS_MAX: usize = 10;

/// `messageId`, characters (contract, section 2).
pub const MESSAGE_KEY_CHARS_MAX: usize = 128;
/// `collapseKey`, characters (contract, section 2).
pub const COLLAPSE_KEY_CHARS_MAX: usize = 64;
/// `shortLinks.domain`, characters (Channels API, send a message).
pub const SHORT_LINK_DOMAIN_CHARS_MAX: usize = 128;
/// Tracking parameters of a workspace, and characters of a key and of a value (Channels API, `utmParameters`).
pub const LINK_PARAMETERS_MAX: usize = 8;
/// Characters of a tracking parameter's key.
pub const LINK_PARAMETER_KEY_CHARS_MAX: usize = 20;
/// Characters of a tracking parameter's value.
pub const LINK_PARAMETER_VALUE_CHARS_MAX: usize = 100;
/// Days that a frequency cap may look back.
pub const FREQUENCY_CAP_DAYS_MAX: u32 = 35;
/// Messages within those days.
pub const FREQUENCY_CAP_MESSAGES_MAX: u32 = 1000;
/// Days that a workspace may keep the texts of ended messages.
pub const BODY_RETENTION_DAYS_MAX: u32 = 3650;
/// Windows of quiet hours: seven days with a handful of rules each. Each is looked at for every instant asked about.
pub const QUIET_WINDOWS_MAX: usize = 50;
/// Holidays of quiet hours: ten years of a country that has forty.
pub const QUIET_HOLIDAYS_MAX: usize = 400;
/// Use cases that quiet hours hold for: the four of the API, and some of the workspace's own.
pub const QUIET_USE_CASES_MAX: usize = 20;
/// Characters of a use case that quiet hours hold for.
pub const USE_CASE_CHARS_MAX: usize = 64;
/// Longest time over which messages are spread after quiet hours, seconds: a day.
pub const QUIET_SPREAD_SECONDS_MAX: u32 = 86_400;
/// Open pauses of a workspace: one for each of many campaigns. All are looked through for every message that is accepted.
pub const PAUSES_MAX: usize = 1000;
/// Characters of a pause's reason: a line for people, shown with each message that it holds.
pub const PAUSE_REASON_CHARS_MAX: usize = 200;
/// How far ahead a pause may end: a year. Whoever means longer names no end.
pub const PAUSE_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Messages of a batch (Channels API, batch).
pub const BATCH_MESSAGES_MAX: usize = 100;
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
/// Calls of the provider that a process has under way at a time. As many connections are kept open between calls: one that is
/// closed costs the next call a new one, with its handshake.
pub const CALLS_MAX: usize = 512;
/// Messages a second of a channel where no other rate is set (Meta, "Throughput").
pub const MESSAGES_PER_SECOND_DEFAULT: u32 = 80;
/// Messages of a channel that may wait where no other limit is set: three and a half hours at the default rate.
pub const BACKLOG_DEFAULT: u32 = 1_000_000;
/// Highest settable limit of what may wait: it takes two thousand statements to count so many.
pub const BACKLOG_MAX: u32 = 100_000_000;
/// The time in which no more than a rate is sent: a second, and a margin for calls that take differently long to arrive. Whoever
/// goes on for another sender rests for as long.
pub const RATE_WINDOW: Duration = Duration::from_millis(1020);
/// Highest settable rate: Meta's automatic upgrade (Meta, "Throughput").
pub const MESSAGES_PER_SECOND_MAX: u32 = 1000;

/// Length of a text as WhatsApp counts it.
#[must_use]
pub fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}
