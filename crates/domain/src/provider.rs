//! What the engine needs of a provider: make one call and say what it came to.
//!
//! The provider's crate implements it, the server joins the two; the engine never sees the provider's dialect.

use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;

use crate::content::{LongitudeSpelling, Part};
use crate::outcome::Report;
use crate::phone::PhoneNumber;

/// One call: a part from a number to a number.
#[derive(Debug)]
pub struct Call<'a> {
    /// The channel's key at the provider.
    pub key: &'a SecretString,
    /// The channel's number.
    pub from: &'a PhoneNumber,
    /// The recipient.
    pub to: &'a PhoneNumber,
    /// What is said.
    pub part: &'a Part,
    /// How the channel spells longitude.
    pub longitude_spelling: LongitudeSpelling,
    /// Time from the first byte of the connection to the last of the answer; never past the end of validity.
    pub timeout: Duration,
}

/// A way out to WhatsApp.
pub trait Provider: Send + Sync + 'static {
    /// Makes the call once, without repeating it, and reports its outcome. Never fails: a failure is an outcome.
    fn call(&self, call: Call<'_>) -> impl Future<Output = Report> + Send;
}

/// A call as it would go out, for people and for a dry run.
#[derive(Clone, PartialEq, Debug)]
pub struct PreviewedCall {
    /// HTTP method.
    pub method: &'static str,
    /// Path from the host on.
    pub path: String,
    /// JSON body.
    pub body: serde_json::Value,
}

/// Shows calls without making them.
pub trait Preview: Send + Sync + 'static {
    /// The call of a part.
    fn preview(&self, part: &Part, from: &PhoneNumber, to: &PhoneNumber, spelling: LongitudeSpelling) -> PreviewedCall;
}
