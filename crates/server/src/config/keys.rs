//! Keys do not exist yet. Whoever set one believes the server to be closed, so it must not start open.

use super::Environment;
use crate::error::StartError;

/// The variables that set a key.
pub const VARIABLES: &[&str] = &["TASKLANE_ADMIN_KEY", "API_KEYS", "ADMIN_API_KEYS"];

/// Refuses the start if a key is set.
///
/// # Errors
/// One is.
pub fn refuse(environment: &Environment) -> Result<(), StartError> {
    match environment.first(VARIABLES) {
        Some((variable, _)) => Err(StartError::NoKeys { variable }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_way_to_set_a_key_ends_the_start_without_showing_it() {
        for name in VARIABLES {
            let refusal = refuse(&Environment::from([(*name, "s3cret")])).unwrap_err().to_string();
            assert!(refusal.contains(name) && !refusal.contains("s3cret"), "{refusal}");
        }
        refuse(&Environment::from([("TASKLANE_ADMIN_KEY", "")])).unwrap();
    }
}
