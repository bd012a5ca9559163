//! Which server commands talk to.

use super::setting::{Kind, Section, Setting};

/// The server.
pub const URL: Setting = Setting {
    key: "client.url",
    default: Some("http://127.0.0.1:8000"),
    variable: Some("TASKLANE_URL"),
    doc: "The server that commands and the clients talk to",
    more: "Commands that talk to a server take it as `--url` too.",
    ..Setting::NEW
};

/// The key that is shown to it.
pub const API_KEY: Setting = Setting {
    key: "client.api_key",
    kind: Kind::Secret,
    variable: Some("TASKLANE_API_KEY"),
    doc: "The key that commands and the clients show it",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section =
    Section { name: "client", doc: "Which server commands talk to.", settings: &[&URL, &API_KEY] };
