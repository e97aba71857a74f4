//! Channels JSON: requests that become messages, messages that become answers.

pub(crate) mod act;

pub(crate) mod batch;

pub(crate) mod body;

pub(crate) mod channel_query;

pub(crate) mod explanation;

pub(crate) mod gates;

pub(crate) mod mentions;

pub(crate) mod message_query;

pub(crate) mod meta;

pub(crate) mod options;

pub(crate) mod pause;

pub(crate) mod plan;

pub(crate) mod platforms;

pub(crate) mod query;

pub(crate) mod quiet_hours;

pub(crate) mod receiver;

pub(crate) mod request;

pub(crate) mod response;

pub(crate) mod sender;

pub(crate) mod shape;

pub(crate) mod template;

/// Text for a property that the Channels API has and this version does not handle yet.
pub(crate) const NOT_YET: &str = "is not supported yet";
