//! The gateway as it is, without the part that sends.

use std::net::SocketAddr;

use prometheus::Registry;
use secrecy::SecretString;
use server::gateway::{Gateway, Settings};
use server::health::Health;
use store::Store;

/// Starts it on a free port; it runs until the process ends.
pub(super) fn start(store: Store, registry: &Registry) -> Result<SocketAddr, String> {
    let settings = Settings {
        store,
        listen: Some(([127, 0, 0, 1], 0).into()),
        lipachat_url: None,
        admin_token: SecretString::from("bench-admin-token"),
        engine: engine::Settings::default(),
    };
    let health = Health::starting(registry.clone());
    let gateway = Gateway::start(settings, registry, health).map_err(|error| error.to_string())?;
    gateway.listen.ok_or_else(|| "no address".to_owned())
}
