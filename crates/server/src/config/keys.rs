//! Keys of settings: who may call, besides whoever has one of `tasklane key create`.

use tasklane_api::SetKeys;
use tasklane_core::key::Digest;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// An admin's key is this long at least: 128 bits in hexadecimal digits.
pub const ADMIN_KEY_CHARS: usize = 32;

/// An admin's key.
pub const ADMIN_KEY: Setting = Setting {
    key: "keys.admin_key",
    kind: Kind::Secret,
    variable: Some("TASKLANE_ADMIN_KEY"),
    doc: "A secret of 32 characters or more that opens everything",
    more: "For the first start of a server that others can reach; with it other keys are made (`tasklane key create`). Where \
           it is set every call needs a key.",
    ..Setting::NEW
};

/// Keys of the Task Framework routes.
pub const API_KEYS: Setting = Setting {
    key: "keys.api_keys",
    kind: Kind::Secret,
    foreign: &["API_KEYS"],
    doc: "Secrets that open the Task Framework routes, separated by commas",
    more: "This version has none of these routes: where it is set every call needs another key.",
    ..Setting::NEW
};

/// Admin keys of the Task Framework.
pub const ADMIN_API_KEYS: Setting = Setting {
    key: "keys.admin_api_keys",
    kind: Kind::Secret,
    foreign: &["ADMIN_API_KEYS"],
    doc: "Secrets that open everything, separated by commas",
    more: "Where it is set every call needs a key.",
    ..Setting::NEW
};

/// Whether metrics need a key.
pub const CLOSE_METRICS: Setting = Setting {
    key: "keys.close_metrics",
    kind: Kind::Switch,
    default: Some("false"),
    variable: Some("TASKLANE_CLOSE_METRICS"),
    doc: "Whether `/metrics` needs a key, too, where there are keys",
    more: "It tells of no task and no tenant, but of queues and types by their numbers.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "keys",
    doc: "Who may call. Once there is a key, here or one of `tasklane key create`, every call needs one but `/health`, `/ready`, \
          `/metrics` and the pages of documentation.",
    settings: &[&ADMIN_KEY, &API_KEYS, &ADMIN_API_KEYS, &CLOSE_METRICS],
};

/// Reads the section.
///
/// # Errors
/// A key that is too short.
pub fn read(settings: &Settings) -> Result<SetKeys, StartError> {
    let admin = settings.get(&ADMIN_KEY);
    if admin.text.as_deref().is_some_and(|it| it.chars().count() < ADMIN_KEY_CHARS) {
        let expected = format!("a secret of {ADMIN_KEY_CHARS} characters or more");
        return Err(StartError::setting(&admin.name(), "***", &expected));
    }
    let [of_framework, admins] =
        [&API_KEYS, &ADMIN_API_KEYS].map(|it| settings.text(it).map(|text| listed(&text)).unwrap_or_default());
    let any = !of_framework.is_empty();
    let admins: Vec<_> = admin.text.iter().chain(&admins).map(|it| Digest::of(it)).collect();
    Ok(SetKeys {
        any: any || !admins.is_empty(),
        admins: admins.into(),
        close_metrics: settings.switch(&CLOSE_METRICS)?,
    })
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn keys(name: &str, value: &str) -> Result<SetKeys, StartError> {
        let environment = Environment::from([(name, value)]);
        read(&Settings::without_files(&Flags::default(), &environment).unwrap())
    }

    #[test]
    fn keys_of_settings_close_the_door_and_some_open_it() {
        let secret = "0123456789abcdef0123456789abcdef";
        for (name, value, admins, any) in [
            ("TASKLANE_ADMIN_KEY", secret, 1, true),
            ("ADMIN_API_KEYS", "one, two,", 2, true),
            ("API_KEYS", "one", 0, true),
            ("API_KEYS", " , ", 0, false),
            ("TASKLANE_ADMIN_KEY", "", 0, false),
        ] {
            let keys = keys(name, value).unwrap();
            assert_eq!((keys.admins.len(), keys.any, keys.close_metrics), (admins, any, false), "{name}={value}");
        }
        assert_eq!(keys("TASKLANE_ADMIN_KEY", secret).unwrap().admins[0], Digest::of(secret));
        assert!(keys("TASKLANE_CLOSE_METRICS", "yes").unwrap().close_metrics);
    }

    #[test]
    fn a_short_key_is_refused_without_showing_it() {
        let refusal = keys("TASKLANE_ADMIN_KEY", "s3cret").unwrap_err().to_string();
        assert!(
            refusal.contains("TASKLANE_ADMIN_KEY") && refusal.contains("32") && !refusal.contains("s3cret"),
            "{refusal}"
        );
    }
}
