//! Quiet hours, as they are put and as they are answered.

use std::collections::BTreeSet;

use utoipa::ToSchema;

use super::words;

/// Quiet hours to set. A property that is `null` counts as absent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QuietHoursRequest {
    /// Whether they hold at all; true by default.
    enabled: Option<bool>,
    /// Name of a zone of the IANA database, in upper or lower case; an offset is none.
    #[schema(examples("Africa/Nairobi"))]
    time_zone: String,
    /// Whether wall clocks are the recipient's, by the number's prefix: where the prefix has several zones, all must be open;
    /// where it has none, `timeZone` holds. False by default.
    recipient_time_zone: Option<bool>,
    /// Closed times of the week, up to 50; may be empty where only holidays are closed. Together they must leave an open
    /// minute.
    #[schema(max_items = 50)]
    windows: Vec<QuietWindow>,
    /// Dates that are closed the whole day, up to 400; none by default.
    #[schema(max_items = 400, value_type = Option<BTreeSet<Holiday>>, examples(json!(["2026-12-25"])))]
    holidays: Option<BTreeSet<String>>,
    /// Use cases that are held, 1 to 20, in upper or lower case; `marketing` by default. The use case of a message is
    /// `meta.extraInformation.useCase`, else its channel's: `marketing` where that is `promotional`, `authentication` where it
    /// is `2fa`, else `conversational` or `transactional`.
    #[schema(min_items = 1, max_items = 20, value_type = Option<BTreeSet<UseCase>>, examples(json!(["marketing"])))]
    applies_to: Option<BTreeSet<String>>,
    /// Seconds over which what was held is sent after a closed time, up to a day; 0 for at once, 600 by default.
    #[schema(minimum = 0, maximum = 86400, examples(600))]
    spread_seconds: Option<i64>,
}

/// A closed time of the week.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QuietWindow {
    /// The days on which it begins.
    #[schema(min_items = 1, max_items = 7)]
    days: BTreeSet<Weekday>,
    #[schema(schema_with = words::window_start)]
    start: String,
    #[schema(schema_with = words::window_end)]
    end: String,
}

/// A day of the week.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A date that is closed the whole day.
pub(crate) struct Holiday;

impl utoipa::PartialSchema for Holiday {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        words::holiday().into()
    }
}

impl ToSchema for Holiday {}

/// What messages are for.
pub(crate) struct UseCase;

impl utoipa::PartialSchema for UseCase {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        words::held_use_case().into()
    }
}

impl ToSchema for UseCase {}

/// Quiet hours of a workspace, as they stand.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuietHours {
    /// Whether they hold at all.
    enabled: bool,
    /// Name of a zone, as the IANA database spells it.
    #[schema(examples("Africa/Nairobi"))]
    time_zone: String,
    /// Whether wall clocks are the recipient's where they are known.
    recipient_time_zone: bool,
    /// Closed times of the week.
    windows: Vec<QuietWindow>,
    /// Dates that are closed the whole day.
    #[schema(value_type = Vec<Holiday>)]
    holidays: Vec<String>,
    /// Use cases that are held, in lower case.
    #[schema(value_type = Vec<UseCase>)]
    applies_to: Vec<String>,
    /// Seconds over which what was held is sent after a closed time.
    spread_seconds: i64,
}

/// Quiet hours that hold for a channel.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelQuietHours {
    /// Whether they hold at all.
    enabled: bool,
    /// Name of a zone, as the IANA database spells it.
    #[schema(examples("Africa/Nairobi"))]
    time_zone: String,
    /// Whether wall clocks are the recipient's where they are known.
    recipient_time_zone: bool,
    /// Closed times of the week.
    windows: Vec<QuietWindow>,
    /// Dates that are closed the whole day.
    #[schema(value_type = Vec<Holiday>)]
    holidays: Vec<String>,
    /// Use cases that are held, in lower case.
    #[schema(value_type = Vec<UseCase>)]
    applies_to: Vec<String>,
    /// Seconds over which what was held is sent after a closed time.
    spread_seconds: i64,
    /// Whether they are the workspace's, the channel having none of its own. Told only: a request with it is refused.
    inherited: bool,
}
