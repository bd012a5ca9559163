//! What the server may call by itself.

use tasklane_outbound::Guard;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// Addresses that may be called although they are not public.
pub const ALLOW: Setting = Setting {
    key: "outbound.allow",
    kind: Kind::List(100),
    variable: Some("TASKLANE_OUTBOUND_ALLOW"),
    doc: "Addresses or networks, such as 10.0.0.0/8, that may be called besides public ones",
    more: "URLs are set by users; without this, none of them leads into the network the server stands in.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "outbound",
    doc: "What the server may call by itself: webhooks, and the URLs that types are bound to.",
    settings: &[&ALLOW],
};

/// Reads the section.
///
/// # Errors
/// Something that is neither an address nor a network.
pub fn read(settings: &Settings) -> Result<Guard, StartError> {
    let found = settings.get(&ALLOW);
    let text = found.text.as_deref().unwrap_or_default();
    Guard::allowing(text).map_err(|_| StartError::setting(&found.name(), text, "a list of addresses or networks"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn networks_are_let_through_that_are_named() {
        let guard = |text: &str| read(&Settings::of_text(text).unwrap());
        let local = "127.0.0.1".parse().unwrap();
        assert!(!guard("").unwrap().permits(local));
        assert!(guard("[outbound]\nallow = [\"10.0.0.0/8\", \"127.0.0.1\"]\n").unwrap().permits(local));
        assert!(guard("[outbound]\nallow = [\"here\"]\n").is_err());
    }
}
