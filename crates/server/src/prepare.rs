//! What is done between the opening of the store and the first call.

use tasklane_core::audit::Actor;
use tasklane_engine::Engine;

use crate::config::Config;
use crate::config::listen::Exposure;
use crate::error::StartError;

/// Sets up what the configuration says, and sees to it that nobody is served who should not be.
///
/// # Errors
/// The store did not answer, or others could reach a server that asks nobody for a key.
pub async fn prepare(engine: &Engine, config: &Config) -> Result<(), StartError> {
    engine.load_keys().await.map_err(StartError::Keys)?;
    let asks_for_keys = config.keys.any || engine.has_keys();
    config.listen.check(asks_for_keys)?;
    if config.listen.exposure == Exposure::Insecure && !asks_for_keys {
        tracing::warn!(
            address = %config.listen.address,
            "INSECURE: there is no key, and whoever reaches this address may do everything; set TASKLANE_ADMIN_KEY to change that"
        );
    }
    if config.keys.any && config.keys.admins.is_empty() && !engine.has_keys() {
        tracing::warn!(
            "keys are set that open nothing here, and there is no other: nobody can call; set TASKLANE_ADMIN_KEY"
        );
    }
    let engine = engine.by(Actor::named(Actor::CONFIG));
    engine.configure_gates(config.gates.clone()).await.map_err(StartError::Gates)?;
    engine.configure_schedules(config.schedules.clone()).await.map_err(StartError::Schedules)
}
