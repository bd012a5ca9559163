//! What `tasklane worker` does, and for whom.

use std::collections::BTreeMap;
use std::time::Duration;

use tasklane_executors::http::Target;
use tasklane_outbound::Guard;
use tasklane_wire::name::{is_name, is_queue, is_type};

use super::setting::{Flag, Kind, Section, Setting};
use super::{Settings, client, executors, outbound};
use crate::error::StartError;

/// Where it finds work.
pub const SERVERS: Setting = Setting {
    key: "worker.servers",
    kind: Kind::List(16),
    variable: Some("TASKLANE_SERVER"),
    flag: Some(Flag::Takes { long: "server", value: "URL" }),
    doc: "The servers a worker works for; one at a time, at first any of them, another one when it does not answer",
    more: "They must share their tasks. Without it, `client.url` is the only one. A worker shows them `client.api_key`.",
    ..Setting::NEW
};

/// Which queues.
pub const QUEUES: Setting = Setting {
    key: "worker.queues",
    kind: Kind::List(100),
    variable: Some("TASKLANE_WORKER_QUEUES"),
    flag: Some(Flag::Takes { long: "queue", value: "NAME" }),
    doc: "The queues a worker serves; all of them unless said",
    ..Setting::NEW
};

/// Which types.
pub const TYPES: Setting = Setting {
    key: "worker.types",
    kind: Kind::List(1000),
    variable: Some("TASKLANE_WORKER_TYPES"),
    flag: Some(Flag::Takes { long: "type", value: "TYPE" }),
    doc: "The types a worker serves; all it has executors for unless said",
    more: "It has those that are builtin and those that are bound to URLs (`executors.http.*.url`).",
    ..Setting::NEW
};

/// How much at once.
pub const SLOTS: Setting = Setting {
    key: "worker.slots",
    kind: Kind::Number(1, 10_000),
    default: Some("64"),
    variable: Some("TASKLANE_WORKER_SLOTS"),
    flag: Some(Flag::Takes { long: "slots", value: "N" }),
    doc: "How many tasks a worker runs at once",
    ..Setting::NEW
};

/// How long a lease lasts.
pub const LEASE: Setting = Setting {
    key: "worker.lease_seconds",
    kind: Kind::Number(1, 3600),
    default: Some("30"),
    variable: Some("TASKLANE_WORKER_LEASE_SECONDS"),
    flag: Some(Flag::Takes { long: "lease-seconds", value: "N" }),
    doc: "How long a worker's leases last without renewal",
    more: "So long its tasks wait if it dies. An outage of all servers of a third of it interrupts nothing that runs; in a \
           longer one work may be stopped before its lease can have run out.",
    ..Setting::NEW
};

/// How long a stop may take.
pub const DRAIN: Setting = Setting {
    key: "worker.drain_seconds",
    kind: Kind::Number(0, 3600),
    // As in the server: under the 10 s that container runtimes wait before they kill.
    default: Some("6"),
    variable: Some("TASKLANE_WORKER_DRAIN_SECONDS"),
    flag: Some(Flag::Takes { long: "drain-seconds", value: "N" }),
    doc: "How long tasks that run in a worker may go on after a stop was asked for",
    more: "What is not done by then is given back unspent and runs elsewhere.",
    ..Setting::NEW
};

/// What it is shown with.
pub const LABELS: Setting = Setting {
    key: "worker.labels",
    kind: Kind::List(16),
    variable: Some("TASKLANE_WORKER_LABELS"),
    flag: Some(Flag::Takes { long: "label", value: "KEY=VALUE" }),
    doc: "Labels of a worker, shown behind its name wherever the name is",
    more: "The name itself is made of the machine, the process and a random part.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "worker",
    doc: "What `tasklane worker` does, and for whom. It runs the executors of a server in a process of its own.",
    settings: &[&SERVERS, &QUEUES, &TYPES, &SLOTS, &LEASE, &DRAIN, &LABELS],
};

/// Longest text of all labels in bytes, which leaves room for the name.
const LABELS_BYTES: usize = 100;

/// The settings of a worker, checked.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Where it finds work; not empty.
    pub servers: Vec<String>,
    /// What it shows them.
    pub api_key: Option<String>,
    /// The queues it serves; empty: all.
    pub queues: Vec<String>,
    /// The types it serves; empty: all it has executors for.
    pub types: Vec<String>,
    /// Tasks run at once.
    pub slots: usize,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How long running tasks may go on after a stop was asked for.
    pub drain: Duration,
    /// `key=value`, as they were given.
    pub labels: Vec<String>,
    /// Where tasks go whose type is bound to a URL.
    pub targets: BTreeMap<Box<str>, Target>,
    /// What it may call.
    pub outbound: Guard,
}

impl Worker {
    /// Reads the section, and what a worker shares with servers.
    ///
    /// # Errors
    /// A setting that cannot be read.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let seconds = |setting| settings.number(setting).map(Duration::from_secs);
        Ok(Self {
            servers: servers(settings)?,
            api_key: settings.text(&client::API_KEY),
            queues: checked(settings, &QUEUES, is_queue, "names of queues")?,
            types: checked(settings, &TYPES, is_type, "names of types")?,
            slots: usize::try_from(settings.number(&SLOTS)?).unwrap_or(usize::MAX),
            lease: seconds(&LEASE)?,
            drain: seconds(&DRAIN)?,
            labels: labels(settings)?,
            targets: executors::Executors::read(settings)?.targets,
            outbound: outbound::read(settings)?,
        })
    }
}

fn servers(settings: &Settings) -> Result<Vec<String>, StartError> {
    let (setting, said) = match settings.list(&SERVERS) {
        said if said.is_empty() => (&client::URL, settings.list(&client::URL)),
        said => (&SERVERS, said),
    };
    // URLs are logged, so none may hold a password.
    if said.iter().any(|it| it.contains('@')) {
        let without = "a URL without name and password; the key stands in TASKLANE_API_KEY";
        return Err(StartError::setting(&settings.get(setting).name(), "a URL with a password", without));
    }
    Ok(said)
}

fn checked(
    settings: &Settings,
    setting: &'static Setting,
    is_right: fn(&str) -> bool,
    expected: &str,
) -> Result<Vec<String>, StartError> {
    let items = settings.list(setting);
    match items.iter().find(|it| !is_right(it)) {
        Some(odd) => Err(StartError::setting(&settings.get(setting).name(), odd, expected)),
        None => Ok(items),
    }
}

fn labels(settings: &Settings) -> Result<Vec<String>, StartError> {
    let is_label = |it: &str| {
        let parts = it.split_once('=');
        is_name(it) && !it.contains(' ') && parts.is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    };
    let labels = checked(settings, &LABELS, is_label, "labels such as gpu=a100, without blanks")?;
    let bytes: usize = labels.iter().map(|it| it.len() + 1).sum();
    if bytes > LABELS_BYTES {
        let expected = format!("labels of at most {LABELS_BYTES} bytes in all");
        return Err(StartError::setting(&settings.get(&LABELS).name(), &labels.join(","), &expected));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn read(pairs: &[(&'static Setting, &str)], environment: &Environment) -> Result<Worker, StartError> {
        let flags = pairs.iter().fold(Flags::default(), |flags, (setting, text)| flags.with(setting, *text));
        Worker::read(&Settings::without_files(&flags, environment)?)
    }

    #[test]
    fn a_worker_works_for_this_machine_unless_said() {
        let nothing = read(&[], &Environment::default()).unwrap();
        assert_eq!((nothing.servers, nothing.slots), (vec!["http://127.0.0.1:8000".to_owned()], 64));
        assert_eq!((nothing.lease, nothing.drain), (Duration::from_secs(30), Duration::from_secs(6)));
        let environment = Environment::from([("TASKLANE_URL", "http://there"), ("TASKLANE_EXECUTORS", "no")]);
        assert_eq!(read(&[], &environment).unwrap().servers, ["http://there"]);
        let environment = Environment::from([("TASKLANE_URL", "http://x"), ("TASKLANE_SERVER", "http://a, http://b")]);
        assert_eq!(read(&[], &environment).unwrap().servers, ["http://a", "http://b"]);
    }

    #[test]
    fn what_is_no_name_or_label_is_refused_where_it_was_said() {
        let long = "k=".to_owned() + &"v".repeat(LABELS_BYTES);
        let cases: [(&'static Setting, &str); 7] = [
            (&QUEUES, "~bulk"),
            (&TYPES, "a b"),
            (&LABELS, "gpu"),
            (&LABELS, "gpu="),
            (&LABELS, "a=b c"),
            (&LABELS, &long),
            (&LEASE, "0"),
        ];
        for (setting, text) in cases {
            let refusal = read(&[(setting, text)], &Environment::default()).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("--{}", setting.flag.unwrap().long())), "{refusal}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_shown() {
        for url in ["http://me:s3cret@host/x", "me:s3cret@host:8000", "http:/me:s3cret@host"] {
            let refusal = read(&[(&SERVERS, url)], &Environment::default()).unwrap_err().to_string();
            assert!(refusal.contains("TASKLANE_API_KEY") && !refusal.contains("s3cret"), "{refusal}");
        }
    }
}
