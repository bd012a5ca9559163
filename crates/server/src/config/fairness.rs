//! Whether tenants that share a queue take turns, and how much each counts.

use tasklane_core::fair::{Fairness, Weights};
use tasklane_core::gate::EVERY_TENANT;
use tasklane_wire::name::is_name;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// Most tenants that a configuration may name.
pub const TENANTS: usize = 10_000;

/// Whether they do.
pub const ENABLED: Setting = Setting {
    key: "fairness.enabled",
    kind: Kind::Switch,
    default: Some("true"),
    variable: Some("TASKLANE_FAIRNESS"),
    doc: "Whether tenants that share a lane take turns there",
    more: "Otherwise a lane goes by priority, then age, whoever's its tasks are. Where no task has a tenant, both are the same.",
    ..Setting::NEW
};

/// How much one counts.
pub const WEIGHT: Setting = Setting {
    key: "fairness.weights.*",
    kind: Kind::Weight,
    doc: "How much this tenant gets of a lane beside others, each of which counts for 1",
    more: "The tenant is the name: `[fairness.weights]`, `acme = 3`. Of what a lane runs while both wait, `acme` gets three \
           of four then.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "fairness",
    doc: "What becomes of tenants that share a lane (a queue and type). It is read when a server starts; servers of one \
          database need the same.",
    settings: &[&ENABLED, &WEIGHT],
};

/// What the configuration says of it.
///
/// # Errors
/// A name that no tenant can have, or too many.
pub fn read(settings: &Settings) -> Result<Fairness, StartError> {
    let mut weights: Vec<(Box<str>, f64)> = Vec::new();
    for (names, found) in settings.named(&WEIGHT) {
        let (name, text) = (names.first().map_or("", String::as_str), found.text.as_deref().unwrap_or_default());
        if !is_name(name) || name == EVERY_TENANT {
            return Err(StartError::setting(&found.name(), name, "the name of a tenant"));
        }
        let weight = text.parse().map_err(|_| StartError::setting(&found.name(), text, &WEIGHT.kind.expected()))?;
        weights.push((name.into(), weight));
    }
    if weights.len() > TENANTS {
        let many = weights.len().to_string();
        return Err(StartError::setting("fairness.weights", &many, &format!("at most {TENANTS} tenants")));
    }
    Ok(if settings.switch(&ENABLED)? { Fairness::Turns(Weights::new(weights)) } else { Fairness::Age })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fairness(text: &str) -> Result<Fairness, StartError> {
        read(&Settings::of_text(text)?)
    }

    #[test]
    fn tenants_take_turns_by_their_weights_unless_it_is_switched_off() {
        assert_eq!(fairness("").unwrap(), Fairness::Turns(Weights::default()));
        assert_eq!(fairness("[fairness]\nenabled = false\n[fairness.weights]\na = 3\n").unwrap(), Fairness::Age);
        let weights = Weights::new([("acme.com".into(), 3.0), ("b".into(), 0.5), ("c".into(), 100.0)]);
        let text = "[fairness.weights]\n\"acme.com\" = 3\nb = 0.5\nc = 100.0\n";
        assert_eq!(fairness(text).unwrap(), Fairness::Turns(weights));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, told) in [
            ("[fairness.weights]\na = 0\n", "a number from 0.1 to 100"),
            ("[fairness.weights]\na = 100.5\n", "a number from 0.1 to 100"),
            ("[fairness.weights]\na = \"3\"\n", "a number from 0.1 to 100"),
            ("[fairness.weights]\na = nan\n", "a number from 0.1 to 100"),
            ("[fairness.weights]\n\"*\" = 1\n", "the name of a tenant"),
            ("[fairness.weights]\n\"\" = 1\n", "the name of a tenant"),
            ("[fairness]\nenabled = 1\n", "true or false"),
            ("[fairness]\nweight = 1\n", "fairness.weight"),
        ] {
            let refusal = fairness(text).unwrap_err().to_string();
            assert!(refusal.contains("tasklane.toml:") && refusal.contains(told), "{text}: {refusal}");
        }
    }
}
