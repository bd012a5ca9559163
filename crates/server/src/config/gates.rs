//! How many tasks of a queue, of a type or of a key may run, or start in a time. An operator's word stands above it.

use std::collections::BTreeMap;
use std::time::Duration;

use tasklane_core::gate::{Bounds, EVERY_TENANT, GateName, Rate};
use tasklane_core::limit;
use tasklane_wire::duration;
use tasklane_wire::name::{is_name, is_queue, is_type};

use super::Settings;
use super::setting::{Kind, Section, Setting};
use super::settings::Found;
use crate::error::StartError;

/// Most gates that a configuration may name.
pub const GATES: usize = 10_000;

/// What `rate_per` takes.
const PER: &str = "a duration from 1s to 366d, such as 1s, 5m or 1h30m";
const COUNTS: Kind = Kind::Number(*limit::RATE_COUNT.start() as u64, *limit::RATE_COUNT.end() as u64);
const SLOTS: Kind = Kind::Number(0, limit::SLOTS as u64);
const COUNT: Setting = Setting {
    kind: COUNTS,
    doc: "How many of them may start in the time that `rate_per` says",
    more: "In no span of that length start more.",
    ..Setting::NEW
};
const SPAN: Setting =
    Setting { doc: "The time of the rate, such as 1s, 5m or 1h30m", more: "From 1s to 366d.", ..Setting::NEW };

/// Tasks of a queue that run.
pub const QUEUE_RUNNING: Setting = Setting {
    key: "gates.queue.*.max_running",
    kind: SLOTS,
    doc: "How many tasks of this queue may run at a time; 0 stops it",
    more: "The queue stands in the table's name: `[gates.queue.\"mail\"]`.",
    ..Setting::NEW
};

/// Tasks of a queue that start.
pub const QUEUE_COUNT: Setting = Setting { key: "gates.queue.*.rate_count", ..COUNT };

/// In how long.
pub const QUEUE_PER: Setting = Setting { key: "gates.queue.*.rate_per", ..SPAN };

/// Tasks of a type that run.
pub const TYPE_RUNNING: Setting = Setting {
    key: "gates.type.*.max_running",
    kind: SLOTS,
    doc: "How many tasks of this type may run at a time, on all queues together; 0 stops it",
    ..Setting::NEW
};

/// Tasks of a type that start.
pub const TYPE_COUNT: Setting = Setting { key: "gates.type.*.rate_count", ..COUNT };

/// In how long.
pub const TYPE_PER: Setting = Setting { key: "gates.type.*.rate_per", ..SPAN };

/// Tasks of a key that run.
pub const KEY_RUNNING: Setting = Setting {
    key: "gates.key.*.max_running",
    kind: SLOTS,
    doc: "How many tasks of a tenant that name this key may run at a time; 0 stops it",
    more: "Each tenant has its own: what tasks say of the key no longer counts, what an operator says of one tenant's does.",
    ..Setting::NEW
};

/// Tasks of a key that start.
pub const KEY_COUNT: Setting = Setting { key: "gates.key.*.rate_count", ..COUNT };

/// In how long.
pub const KEY_PER: Setting = Setting { key: "gates.key.*.rate_per", ..SPAN };

/// The section.
pub const SECTION: Section = Section {
    name: "gates",
    doc: "How many tasks may run, or start in a time: of a queue, of a type, of those that name a key. What an operator says \
          (`tasklane gate set`) stands above it. It is applied when a server starts; servers of one database need the same.",
    settings: &[
        &QUEUE_RUNNING,
        &QUEUE_COUNT,
        &QUEUE_PER,
        &TYPE_RUNNING,
        &TYPE_COUNT,
        &TYPE_PER,
        &KEY_RUNNING,
        &KEY_COUNT,
        &KEY_PER,
    ],
};

/// A sort of gates, and its settings.
struct Sort {
    running: &'static Setting,
    count: &'static Setting,
    per: &'static Setting,
    what: &'static str,
    is_one: fn(&str) -> bool,
    gate: fn(&str) -> GateName,
}

const SORTS: [Sort; 3] = [
    Sort {
        running: &QUEUE_RUNNING,
        count: &QUEUE_COUNT,
        per: &QUEUE_PER,
        what: "the name of a queue",
        is_one: is_queue,
        gate: |name| GateName::Queue(name.into()),
    },
    Sort {
        running: &TYPE_RUNNING,
        count: &TYPE_COUNT,
        per: &TYPE_PER,
        what: "the name of a type",
        is_one: is_type,
        gate: |name| GateName::Type(name.into()),
    },
    Sort {
        running: &KEY_RUNNING,
        count: &KEY_COUNT,
        per: &KEY_PER,
        what: "a key",
        is_one: is_name,
        gate: |name| GateName::Key { tenant: EVERY_TENANT.into(), key: name.into() },
    },
];

/// What is said of one gate, and where.
#[derive(Default)]
struct Said<'s> {
    max_running: Option<u32>,
    count: Option<(u32, &'s Found)>,
    per: Option<(Duration, &'s Found)>,
}

/// The gates of the configuration.
///
/// # Errors
/// A name that can be none, a rate without its count or its time, or too many.
pub fn read(settings: &Settings) -> Result<Vec<(GateName, Bounds)>, StartError> {
    let mut gates = Vec::new();
    for sort in &SORTS {
        for (name, said) in of_sort(sort, settings)? {
            gates.push(((sort.gate)(name), said.bounds()?));
        }
    }
    match gates.len() {
        0..=GATES => Ok(gates),
        many => Err(StartError::setting("gates", &many.to_string(), &format!("at most {GATES} tables"))),
    }
}

fn of_sort<'s>(sort: &Sort, settings: &'s Settings) -> Result<BTreeMap<&'s str, Said<'s>>, StartError> {
    let mut said: BTreeMap<&str, Said<'s>> = BTreeMap::new();
    for (names, found) in settings.named(sort.running) {
        said.entry(name(sort, names, found)?).or_default().max_running = Some(number(found)?);
    }
    for (names, found) in settings.named(sort.count) {
        said.entry(name(sort, names, found)?).or_default().count = Some((number(found)?, found));
    }
    for (names, found) in settings.named(sort.per) {
        said.entry(name(sort, names, found)?).or_default().per = Some((span(found)?, found));
    }
    Ok(said)
}

fn name<'s>(sort: &Sort, names: &'s [String], found: &Found) -> Result<&'s str, StartError> {
    let name = names.first().map_or("", String::as_str);
    if (sort.is_one)(name) { Ok(name) } else { Err(StartError::setting(&found.name(), name, sort.what)) }
}

fn number(found: &Found) -> Result<u32, StartError> {
    let text = found.text.as_deref().unwrap_or_default();
    text.parse().map_err(|_| StartError::setting(&found.name(), text, &found.setting.kind.expected()))
}

fn span(found: &Found) -> Result<Duration, StartError> {
    let text = found.text.as_deref().unwrap_or_default();
    let per = duration::parse(text).ok().filter(|it| limit::RATE_PER.contains(it));
    per.ok_or_else(|| StartError::setting(&found.name(), text, PER))
}

impl Said<'_> {
    fn bounds(self) -> Result<Bounds, StartError> {
        let half = |found: &Found, other: &str| {
            let text = found.text.as_deref().unwrap_or_default();
            Err(StartError::setting(&found.name(), text, &format!("a rate with its {other}")))
        };
        let rate = match (self.count, self.per) {
            (Some((count, _)), Some((per, _))) => Some(Rate { count, per }),
            (Some((_, found)), None) => return half(found, "rate_per"),
            (None, Some((_, found))) => return half(found, "rate_count"),
            (None, None) => None,
        };
        Ok(Bounds { max_running: self.max_running, rate })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gates(text: &str) -> Result<Vec<(GateName, Bounds)>, StartError> {
        read(&Settings::of_text(text)?)
    }

    #[test]
    fn queues_types_and_keys_are_limited() {
        let text = "[gates.queue.\"mail.out\"]\nmax_running = 0\n[gates.type.t]\nrate_count = 100\nrate_per = \"1m\"\n\
            [gates.key.\"user:7\"]\nmax_running = 2\nrate_count = 1\nrate_per = \"1s\"\n";
        let rate = |count, seconds| Some(Rate { count, per: Duration::from_secs(seconds) });
        let expected = vec![
            (GateName::Queue("mail.out".into()), Bounds { max_running: Some(0), rate: None }),
            (GateName::Type("t".into()), Bounds { max_running: None, rate: rate(100, 60) }),
            (
                GateName::Key { tenant: "*".into(), key: "user:7".into() },
                Bounds { max_running: Some(2), rate: rate(1, 1) },
            ),
        ];
        assert_eq!(gates(text).unwrap(), expected);
        assert_eq!(gates("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, told) in [
            ("[gates.queue.\"~bulk\"]\nmax_running = 1\n", "the name of a queue"),
            ("[gates.type.\"a b\"]\nmax_running = 1\n", "the name of a type"),
            ("[gates.key.k]\nrate_count = 1\n", "not a rate with its rate_per"),
            ("[gates.key.k]\nrate_per = \"1s\"\n", "not a rate with its rate_count"),
            ("[gates.key.k]\nrate_count = 1\nrate_per = \"10ms\"\n", "from 1s to 366d"),
            ("[gates.key.k]\nmax_running = -1\n", "from 0 to 1000000"),
            ("[gates.key.k]\nrate = 1\n", "gates.key.k.rate"),
            ("[gates.tenant.k]\nmax_running = 1\n", "gates.tenant"),
        ] {
            let refusal = gates(text).unwrap_err().to_string();
            assert!(refusal.contains("tasklane.toml:") && refusal.contains(told), "{text}: {refusal}");
        }
    }
}
