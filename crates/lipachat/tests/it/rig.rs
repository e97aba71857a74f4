//! A client and a sandbox to call.

use std::time::Duration;

use domain::content::{Content, LongitudeSpelling, Part, Text};
use domain::id::PartId;
use domain::outcome::Report;
use domain::phone::PhoneNumber;
use domain::provider::{Call, Provider};
use lipachat::Lipachat;
use sandbox::{Sandbox, Script, Settings};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

/// The key of the sandbox's account. No part of it is in any text of the provider or of a library.
pub(crate) const KEY: &str = "QzX9-vT4wKp7-Lh2";
/// Longer than any call that ends by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Shorter than what hangs.
pub(crate) const IMPATIENCE: Duration = Duration::from_millis(300);

/// A sandbox, a client of it, and the key the client calls with.
pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    pub(crate) provider: Lipachat,
    pub(crate) key: SecretString,
}

impl Rig {
    /// A sandbox that behaves as this script says.
    pub(crate) async fn scripted(script: Value) -> Self {
        let settings = Settings { api_key: Some(KEY.to_owned()), ..Settings::default() };
        let sandbox = Sandbox::start(settings).await.expect("a free port");
        let script = Script::parse(script.to_string().as_bytes()).expect("a script");
        sandbox.script(script).expect("a script");
        let provider = client(&sandbox.url());
        Self { sandbox, provider, key: SecretString::from(KEY) }
    }

    /// A sandbox that gives every request this answer.
    pub(crate) async fn answering(answer: Value) -> Self {
        Self::scripted(json!({ "rules": [{ "answer": answer }] })).await
    }

    /// The same with another key.
    pub(crate) fn with_key(self, key: &str) -> Self {
        Self { key: SecretString::from(key), ..self }
    }

    /// One call of a new part.
    pub(crate) async fn call(&self) -> Report {
        self.call_within(PATIENCE).await
    }

    /// One call of a new part with a time-out.
    pub(crate) async fn call_within(&self, timeout: Duration) -> Report {
        call(&self.provider, &self.key, &part("Hello Asha"), timeout).await
    }

    /// Requests that arrived.
    pub(crate) fn requests(&self) -> usize {
        self.sandbox.ledger().len()
    }
}

/// A client of a gateway.
pub(crate) fn client(address: &str) -> Lipachat {
    Lipachat::new(address).expect("an address")
}

/// A text with an id of its own.
pub(crate) fn part(text: &str) -> Part {
    Part { id: PartId(Uuid::new_v4()), content: Content::Text(Text::new(text).expect("a text")) }
}

/// One call from the documented sender to the documented recipient.
pub(crate) async fn call(provider: &Lipachat, key: &SecretString, part: &Part, timeout: Duration) -> Report {
    let number = |text| PhoneNumber::parse(text).expect("a number");
    let (from, to) = (number("+254110090747"), number("+254700000000"));
    provider.call(Call { key, from: &from, to: &to, part, longitude_spelling: LongitudeSpelling::Both, timeout }).await
}
