//! Keys do not exist yet. Whoever set one believes the server to be closed, so it must not start open.

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

const NOT_YET: &str = "This version has no keys yet: where it is set, the server does not start.";

/// An admin's key.
pub const ADMIN_KEY: Setting = Setting {
    key: "keys.admin_key",
    kind: Kind::Secret,
    variable: Some("TASKLANE_ADMIN_KEY"),
    doc: "A secret that grants everything",
    more: NOT_YET,
    ..Setting::NEW
};

/// Keys of the Task Framework routes.
pub const API_KEYS: Setting = Setting {
    key: "keys.api_keys",
    kind: Kind::Secret,
    foreign: &["API_KEYS"],
    doc: "Secrets that open the Task Framework routes, separated by commas",
    more: NOT_YET,
    ..Setting::NEW
};

/// Admin keys of the Task Framework.
pub const ADMIN_API_KEYS: Setting = Setting {
    key: "keys.admin_api_keys",
    kind: Kind::Secret,
    foreign: &["ADMIN_API_KEYS"],
    doc: "Secrets that grant everything, separated by commas",
    more: NOT_YET,
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section =
    Section { name: "keys", doc: "Who may call.", settings: &[&ADMIN_KEY, &API_KEYS, &ADMIN_API_KEYS] };

/// Refuses the start if a key is set.
///
/// # Errors
/// One is.
pub fn refuse(settings: &Settings) -> Result<(), StartError> {
    let mut found = SECTION.settings.iter().map(|it| settings.get(it));
    match found.find(|it| it.text.is_some()) {
        Some(found) => Err(StartError::NoKeys { variable: found.origin.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    #[test]
    fn every_way_to_set_a_key_ends_the_start_without_showing_it() {
        let settings =
            |name, value| Settings::without_files(&Flags::default(), &Environment::from([(name, value)])).unwrap();
        for name in SECTION.settings.iter().flat_map(|it| it.variables()) {
            let refusal = refuse(&settings(name, "s3cret")).unwrap_err().to_string();
            assert!(refusal.contains(name) && !refusal.contains("s3cret"), "{refusal}");
        }
        refuse(&settings("TASKLANE_ADMIN_KEY", "")).unwrap();
    }
}
