//! The OpenAPI document, made from the handlers' annotations and the types below.
//!
//! Requests are read by hand ([`crate::reader`]), so their types here only describe; tests send what they document and
//! compare limits, properties and answers with what is served. Answers are described in the same way.

#![allow(dead_code, reason = "the types describe JSON: nothing makes or reads them")]

pub(crate) mod act;

pub(crate) mod admin;

pub(crate) mod channel;

pub(crate) mod document;

pub(crate) mod errors;

pub(crate) mod explanation;

pub(crate) mod message;

pub(crate) mod message_request;

pub(crate) mod parameters;

pub(crate) mod pause;

pub(crate) mod plan;

pub(crate) mod quiet_hours;

mod actions;

mod body;

mod card;

mod flow;

mod list;

mod media;

mod meta;

mod place;

mod receiver;

mod reply_to;

mod template;

mod text;

mod words;
