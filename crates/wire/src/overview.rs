//! Workers, types and numbers as they are read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::queue::Counts;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use crate::queue::CountsShape;

/// A worker heard of lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerShape {
    /// Its label.
    pub name: String,
    /// What it serves.
    pub lanes: Vec<LaneShape>,
    /// How many tasks it runs.
    pub running: usize,
    /// When it last asked for work.
    #[serde(with = "crate::time::shape")]
    pub heard_at: Timestamp,
}

/// Lanes that a worker serves; `*` is every queue, or every type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneShape {
    /// Of this queue.
    pub queue: String,
    /// These types.
    pub types: Vec<String>,
}

impl From<&LaneFilter> for LaneShape {
    fn from(filter: &LaneFilter) -> Self {
        let types = match &filter.types {
            TypeFilter::Any => vec!["*".to_owned()],
            TypeFilter::Only(names) => names.iter().map(|it| it.to_string()).collect(),
        };
        Self { queue: filter.queue.as_deref().unwrap_or("*").to_owned(), types }
    }
}

/// A type that has tasks, or that a worker serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeShape {
    /// Its name.
    pub name: String,
    /// The first hundred of the queues that have tasks of it, by their names.
    pub queues: Vec<String>,
    /// How many queues have tasks of it.
    pub queue_count: usize,
    /// How many of its tasks stand in each state.
    pub counts: TotalsShape,
    /// How many workers heard of lately serve it.
    pub workers: usize,
    /// Its tasks kill their workers: the event `type.crashing` told so within the last hour.
    #[serde(default)]
    pub crashing: bool,
}

/// How many tasks stand in each state, final ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsShape {
    /// Those that are unfinished.
    #[serde(flatten)]
    pub unfinished: CountsShape,
    /// Done.
    pub succeeded: u64,
    /// Not done.
    pub failed: u64,
    /// Stopped by somebody.
    pub cancelled: u64,
    /// Not started in time.
    pub expired: u64,
}

impl From<&Counts> for TotalsShape {
    fn from(counts: &Counts) -> Self {
        Self {
            unfinished: counts.into(),
            succeeded: counts.of(State::Succeeded),
            failed: counts.of(State::Failed),
            cancelled: counts.of(State::Cancelled),
            expired: counts.of(State::Expired),
        }
    }
}

/// Everything in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsShape {
    /// How many tasks stand in each state, those of system queues included.
    pub tasks: TotalsShape,
    /// Queues that ever had a task.
    pub queues: usize,
    /// Pairs of queue and type.
    pub lanes: usize,
    /// Workers heard of lately.
    pub workers: usize,
    /// What the store takes up.
    pub store: StoreShape,
    /// Since the server started.
    #[serde(with = "crate::duration::shape")]
    pub uptime: Duration,
    /// The server's version.
    pub version: String,
}

/// What the store takes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreShape {
    /// Its sort: `sqlite`.
    pub kind: String,
    /// Bytes of the main file.
    pub bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Commits since the server started.
    pub commits: u64,
}
