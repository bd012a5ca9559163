//! Which work the server does itself.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use tasklane_executors::http::{self, Target};
use tasklane_wire::name::is_type;

use super::Settings;
use super::setting::{Flag, Kind, Section, Setting};
use super::settings::Found;
use crate::error::StartError;

/// Whether the server works itself.
pub const ENABLED: Setting = Setting {
    key: "executors.enabled",
    kind: Kind::Switch,
    default: Some("true"),
    variable: Some("TASKLANE_EXECUTORS"),
    flag: Some(Flag::Says {
        long: "no-executors",
        value: "false",
        doc: "Run nothing inside the server; workers do it",
    }),
    doc: "Whether the server runs the builtin types itself, on every queue",
    ..Setting::NEW
};

/// How much at once.
pub const SLOTS: Setting = Setting {
    key: "executors.slots",
    kind: Kind::Number(1, 10_000),
    default: Some("64"),
    variable: Some("TASKLANE_SLOTS"),
    doc: "How many tasks the server's own executors run at once",
    ..Setting::NEW
};

/// How long a stop may take.
pub const DRAIN: Setting = Setting {
    key: "executors.drain_seconds",
    kind: Kind::Number(0, 3600),
    // With what follows (telling tasks to stop, open requests) it stays under the 10 s that container runtimes wait
    // before they kill.
    default: Some("6"),
    variable: Some("TASKLANE_DRAIN_SECONDS"),
    doc: "How long tasks that run in the server may go on after a stop was asked for",
    more: "What is not done by then is given back unspent and runs elsewhere, or at the next start.",
    ..Setting::NEW
};

/// Where tasks of a type go.
pub const HTTP_URL: Setting = Setting {
    key: "executors.http.*.url",
    doc: "The URL that tasks of this type are posted to, on every queue",
    more: "The type stands in the table's name: `[executors.http.\"report.generate\"]`. The answer is the task's result: 2xx \
           succeeds, 408, 429 and 5xx are tried again, anything else fails for good.",
    ..Setting::NEW
};

/// How long a call may take.
pub const HTTP_TIMEOUT: Setting = Setting {
    key: "executors.http.*.timeout_seconds",
    kind: Kind::Number(1, 86_400),
    default: Some("300"),
    doc: "How long a call may take; the task's own attempt timeout may end it sooner",
    ..Setting::NEW
};

/// Headers of a call.
pub const HTTP_HEADERS: Setting = Setting {
    key: "executors.http.*.headers.*",
    kind: Kind::Secret,
    doc: "A header of every call, such as `Authorization`",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "executors",
    doc: "Which work the server does itself.",
    settings: &[&ENABLED, &SLOTS, &DRAIN, &HTTP_URL, &HTTP_TIMEOUT, &HTTP_HEADERS],
};

/// Which executors run inside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InServer {
    /// The builtin types, on every queue.
    #[default]
    Builtin,
    /// None: workers elsewhere do the work.
    None,
}

/// The server's own executors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executors {
    /// Which.
    pub in_server: InServer,
    /// Tasks run at once.
    pub slots: usize,
    /// How long running tasks may go on after a stop was asked for; then they are given back unspent.
    pub drain: Duration,
    /// Where tasks go whose type is bound to a URL.
    pub targets: BTreeMap<Box<str>, Target>,
}

impl Executors {
    /// Reads the section.
    ///
    /// # Errors
    /// A setting that cannot be read.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let in_server = if settings.switch(&ENABLED)? { InServer::Builtin } else { InServer::None };
        let slots = usize::try_from(settings.number(&SLOTS)?).unwrap_or(usize::MAX);
        let drain = Duration::from_secs(settings.number(&DRAIN)?);
        Ok(Self { in_server, slots, drain, targets: targets(settings)? })
    }
}

/// The types that are bound to URLs.
fn targets(settings: &Settings) -> Result<BTreeMap<Box<str>, Target>, StartError> {
    let mut targets = BTreeMap::new();
    for (names, found) in settings.named(&HTTP_URL) {
        let [name] = names else { continue };
        if !is_type(name) {
            return Err(StartError::setting(&found.name(), name, "the name of a type"));
        }
        let url = found.text.clone().unwrap_or_default();
        targets.insert(name.as_str().into(), Target { url, headers: HeaderMap::new(), timeout: http::TIMEOUT });
    }
    for (names, found) in settings.named(&HTTP_TIMEOUT) {
        let seconds = found.text.as_deref().and_then(|it| it.parse().ok()).unwrap_or(http::TIMEOUT.as_secs());
        target(&mut targets, names, found)?.timeout = Duration::from_secs(seconds);
    }
    for (names, found) in settings.named(&HTTP_HEADERS) {
        let (name, value) = header(names.last().map_or("", String::as_str), found)?;
        target(&mut targets, names, found)?.headers.insert(name, value);
    }
    Ok(targets)
}

/// The target that a setting of it is about.
fn target<'a>(
    targets: &'a mut BTreeMap<Box<str>, Target>,
    names: &[String],
    found: &Found,
) -> Result<&'a mut Target, StartError> {
    let name = names.first().map_or("", String::as_str);
    let refused = || StartError::setting(&found.name(), name, "a type with a url of its own");
    targets.get_mut(name).ok_or_else(refused)
}

fn header(name: &str, found: &Found) -> Result<(HeaderName, HeaderValue), StartError> {
    let refused = |what: &str| StartError::setting(&found.name(), name, what);
    let name = name.parse().map_err(|_| refused("the name of a header"))?;
    let text = found.text.as_deref().unwrap_or_default();
    let mut value = HeaderValue::from_str(text).map_err(|_| refused("a header of printable characters"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn read(flags: &Flags, environment: &Environment) -> Executors {
        Executors::read(&Settings::without_files(flags, environment).unwrap()).unwrap()
    }

    #[test]
    fn executors_can_be_left_out() {
        assert_eq!(read(&Flags::default(), &Environment::default()).in_server, InServer::Builtin);
        let off = Environment::from([("TASKLANE_EXECUTORS", "no")]);
        assert_eq!(read(&Flags::default(), &off).in_server, InServer::None);
    }

    #[test]
    fn types_are_bound_to_urls() {
        let text = "[executors.http.\"report.generate\"]\nurl = \"https://a/b\"\ntimeout_seconds = 5\n\
            headers.Authorization = \"s3cret\"\n";
        let read = |text: &str| Executors::read(&Settings::of_text(text).unwrap());
        let executors = read(text).unwrap();
        let target = &executors.targets["report.generate"];
        assert_eq!((target.url.as_str(), target.timeout), ("https://a/b", Duration::from_secs(5)));
        assert_eq!(target.headers["authorization"], "s3cret");
        assert!(!format!("{executors:?}").contains("s3cret"));
        for text in [
            "[executors.http.a]\ntimeout_seconds = 5\n",
            "[executors.http.\"a b\"]\nurl = \"https://a\"\n",
            "[executors.http.a]\nurl = \"http://a\"\nheaders.\"a b\" = \"c\"\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slots_and_drain_are_numbers() {
        let environment = Environment::from([("TASKLANE_SLOTS", "8"), ("TASKLANE_DRAIN_SECONDS", "30")]);
        let executors = read(&Flags::default(), &environment);
        assert_eq!((executors.slots, executors.drain), (8, Duration::from_secs(30)));
    }
}
