//! Routes and their handlers.

pub(crate) mod actions;

pub(crate) mod acts;

pub(crate) mod admin;

pub(crate) mod batch;

pub(crate) mod channels;

pub(crate) mod contacts;

pub(crate) mod docs;

pub(crate) mod dry_run;

pub(crate) mod explain;

pub(crate) mod message_lists;

pub(crate) mod messages;

pub(crate) mod pauses;

pub(crate) mod quiet_hours;

pub(crate) mod tags;

pub(crate) mod uploads;
