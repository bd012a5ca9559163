//! Records: what people set up and servers keep for them, such as keys, schedules and endpoints. What a record says is the
//! affair of its kind. A store keeps its text, finds it by id, name or moment, and sees to it that nobody changes what he has
//! not seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accept::NewTask;
use crate::gate::SetGate;
use crate::schedule::Came;
use crate::task::TaskId;
use crate::time::Timestamp;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A key that opens the door.
    Key,
    /// A rule that makes tasks at times.
    Schedule,
    /// Where events are sent.
    Endpoint,
    /// A line of the audit log.
    Audit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Key, Self::Schedule, Self::Endpoint, Self::Audit];
}

/// What is kept of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whose it is; empty is nobody's.
    pub tenant: Box<str>,
    /// No other of its kind and tenant has this name.
    pub name: Option<Box<str>>,
    /// Something is to be done about it then.
    pub due: Option<Timestamp>,
    /// What it says, JSON.
    pub body: Box<str>,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// Which.
    pub id: Uuid,
    /// Another one after each change; of a kind and store never the same twice.
    pub version: u64,
    /// What is kept.
    pub content: Content,
}

/// Somebody who changes a record.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRecord {
    /// What it is about.
    pub kind: Kind,
    /// Which.
    pub id: Uuid,
    /// The version that he has seen; `None`: there was none.
    pub seen: Option<u64>,
    /// What it is to be; `None` removes it.
    pub to: Option<Content>,
    /// Accepted where the change holds, each by itself.
    pub then: Vec<NewTask>,
    /// What the slots of a schedule came to, noted where the change holds.
    pub slots: Vec<(Timestamp, Came)>,
    /// What is said of a gate where the change holds.
    pub gate: Option<SetGate>,
    /// Another record that is changed where the change holds: what is noted of it.
    pub also: Option<Box<SetRecord>>,
}

impl SetRecord {
    /// Makes a record, or changes or removes one that was seen, with nothing that follows.
    pub fn new(kind: Kind, id: Uuid, seen: Option<u64>, to: Option<Content>) -> Self {
        Self { kind, id, seen, to, then: Vec::new(), slots: Vec::new(), gate: None, also: None }
    }

    /// What its slots came to where its tasks were accepted like this: each became the task named, or was refused.
    pub fn slots_of(&self, accepted: &[Option<TaskId>]) -> Vec<(Timestamp, Came)> {
        let came_to = |made: TaskId| {
            let nth = self.then.iter().position(|it| it.id == made);
            nth.map_or(Some(made), |nth| accepted.get(nth).copied().flatten())
        };
        let slot = |(slot, came): &(Timestamp, Came)| match came {
            Came::Made(task) => (*slot, came_to(*task).map_or(Came::Refused, Came::Made)),
            other => (*slot, *other),
        };
        self.slots.iter().map(slot).collect()
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordSet {
    /// It holds; the version there is now, or was until it was removed.
    Held(u64),
    /// It is not what was seen: somebody else changed it, made it or removed it.
    Changed,
    /// Another one has its name.
    NameTaken,
}

impl RecordSet {
    /// Whether a change of a record holds: `there` is the version there is, `is_name_free` whether nobody else has the name.
    ///
    /// # Errors
    /// Why it does not.
    pub fn decide(seen: Option<u64>, there: Option<u64>, is_name_free: bool) -> Result<(), Self> {
        match (seen == there, is_name_free) {
            (false, _) => Err(Self::Changed),
            (_, false) => Err(Self::NameTaken),
            _ => Ok(()),
        }
    }
}

/// In which order a page shows records; ids grow with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By their ids.
    #[default]
    Oldest,
    /// By their ids, the greatest first.
    Newest,
}

/// Which records a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this kind.
    pub kind: Kind,
    /// Of this tenant; `None` is all.
    pub tenant: Option<Box<str>>,
    /// Of this name; `None` is any or none.
    pub name: Option<Box<str>>,
    /// In this order.
    pub order: Order,
    /// Those after this one, in that order.
    pub after: Option<Uuid>,
    /// At most so many.
    pub most: usize,
}

/// Records of which something is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueRecords {
    /// Those that are due, the longest due first.
    pub due: Vec<Record>,
    /// How soon the next one is.
    pub next: Option<Duration>,
}
