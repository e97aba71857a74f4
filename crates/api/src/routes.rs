//! Routes and their handlers.

pub(crate) mod admin;

pub(crate) mod batch;

pub(crate) mod docs;

pub(crate) mod messages;
