//! Notices that nothing moves any more, and says what can be seen of why.

use std::time::{Duration, Instant};

use serde_json::Value;
use tasklane_testkit::Server;

use super::fleet::Fleet;
use super::ground::Ground;

/// Without a new line in the ledger for so long, and with tasks unfinished, it is stuck.
const STILL: Duration = Duration::from_secs(30);
/// Lines of a log that are shown.
const LINES: usize = 40;

const SESSIONS: &str = "SELECT pid, application_name, state, wait_event_type, wait_event, now() - xact_start AS open,
    left(query, 120) FROM pg_stat_activity WHERE backend_type = 'client backend' ORDER BY xact_start";

/// Looks now and then.
pub struct Stuck {
    seen: (u64, Option<u64>),
    moved: Instant,
}

impl Default for Stuck {
    fn default() -> Self {
        Self { seen: (0, None), moved: Instant::now() }
    }
}

impl Stuck {
    /// Panics with all that can be seen where nothing has moved for long.
    #[track_caller]
    pub fn look(&mut self, fleet: &Fleet, unfinished: Option<u64>) {
        let seen = (fleet.ledger.size(), unfinished);
        if seen != self.seen {
            (self.seen, self.moved) = (seen, Instant::now());
        }
        assert!(self.moved.elapsed() < STILL, "nothing moved for {STILL:?}\n{}", dump(fleet));
    }
}

/// States of tasks and why they wait, logs, sessions of the database.
pub fn dump(fleet: &Fleet) -> String {
    let mut told = String::new();
    for state in ["queued", "blocked", "running", "retrying", "scheduled", "waiting"] {
        let page = fleet.ask_any(&format!("/v1/tasks?state={state}&limit=5")).unwrap_or_default();
        for task in page["items"].as_array().into_iter().flatten() {
            let id = task["id"].as_str().unwrap_or_default();
            let ask = |what: &str| fleet.ask_any(&format!("/v1/tasks/{id}/{what}")).unwrap_or(Value::Null);
            told += &format!("{task}\n  why: {}\n  attempts: {}\n", ask("why"), ask("attempts"));
        }
    }
    for (nth, server) in fleet.servers.iter().enumerate() {
        // A thread that panicked may hold it.
        let log =
            server.read().map_or_else(|it| it.get_ref().log(), |it: std::sync::RwLockReadGuard<'_, Server>| it.log());
        told += &format!("--- server {nth}\n{}\n", tail(&log));
    }
    for (nth, worker) in fleet.workers.iter().enumerate() {
        let log = worker.read().ok().and_then(|it| it.as_ref().map(tasklane_testkit::WorkerProcess::log));
        told += &format!("--- worker {nth}\n{}\n", tail(&log.unwrap_or_default()));
    }
    if let Ground::Postgres(cluster, _) = &fleet.ground {
        let sessions = cluster.sql_in(&cluster.url(), SESSIONS).unwrap_or_else(|why| why);
        told += &format!("--- sessions\n{sessions}");
    }
    told
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
