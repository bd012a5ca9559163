//! The engine's metrics. Labels are few and bounded: never a task, a tenant or a worker.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tasklane_core::error::StoreError;
use tasklane_core::event::Transition;
use tasklane_core::lease::Leased;
use tasklane_core::ports::store::{Answers, StoreStats};
use tasklane_core::quarantine::is_crash_loop;
use tasklane_core::queue::{Queue, is_of_system};
use tasklane_core::state::{Reason, State};
use tasklane_core::task::Lane;
use tasklane_core::time::Timestamp;

use crate::gate_levels;
use crate::inside::{Inside, lock};

/// Most queues shown, in the order of their names; a server with more shows the rest by `/v1/queues`.
const QUEUES: usize = 1_000;

pub(crate) type Labels = Vec<(&'static str, String)>;
pub(crate) type Level = Gauge<f64, AtomicU64>;

/// Most types with a counter of their own; those that come later count as one, `~other`, which no type is named.
const TYPES: usize = 200;

/// Quarantined tasks, by type.
#[derive(Default)]
struct CrashLoops {
    counters: Family<Labels, Counter>,
    types: Mutex<BTreeSet<Box<str>>>,
}

impl CrashLoops {
    fn add(&self, lane: &Lane) {
        if is_of_system(&lane.queue) {
            return;
        }
        let mut types = lock(&self.types);
        let has_own = types.contains(&lane.task_type) || types.len() < TYPES && types.insert(lane.task_type.clone());
        let name = if has_own { lane.task_type.to_string() } else { "~other".to_owned() };
        self.counters.get_or_create(&vec![("type", name)]).inc();
    }
}

pub(crate) struct Metrics {
    accepted: Counter,
    ended: Family<Labels, Counter>,
    lost: Counter,
    crash_loops: CrashLoops,
    limits: Family<Labels, Counter>,
    waited: Histogram,
    ran: Histogram,
    commits: Histogram,
    commit_events: Histogram,
    failed_commits: Counter,
    swept: Counter,
}

impl Metrics {
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 4.0, 12));
        Self {
            accepted: Counter::default(),
            ended: Family::default(),
            lost: Counter::default(),
            crash_loops: CrashLoops::default(),
            limits: Family::default(),
            waited: seconds(),
            ran: seconds(),
            commits: seconds(),
            commit_events: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            failed_commits: Counter::default(),
            swept: Counter::default(),
        }
    }

    /// A commit ended.
    pub fn committed(&self, took: Duration, answered: &Result<Answers, StoreError>) {
        match answered {
            Ok(answers) if answers.transitions.is_empty() => {}
            Ok(answers) => {
                self.commits.observe(took.as_secs_f64());
                self.commit_events.observe(answers.transitions.len() as f64);
            }
            Err(_) => drop(self.failed_commits.inc()),
        }
    }

    /// Tasks went from one state to another; whether a row of crashes quarantined one of them.
    pub fn moved(&self, transitions: &[Transition]) -> bool {
        let accepted = transitions.iter().filter(|it| it.reason == Reason::Accepted).count();
        self.accepted.inc_by(accepted as u64);
        let ended = transitions.iter().filter(|it| it.from == Some(State::Running));
        let mut counts = [0_u64; Reason::ALL.len() + 1];
        for it in ended {
            counts[usize::from(it.reason.code())] += 1;
        }
        for reason in Reason::ALL {
            let count = counts[usize::from(reason.code())];
            if count > 0 {
                self.ended.get_or_create(&vec![("reason", reason.to_string())]).inc_by(count);
            }
        }
        self.lost.inc_by(counts[usize::from(Reason::LeaseLost.code())]);
        let has_loops = counts[usize::from(Reason::CrashLoop.code())] > 0;
        if has_loops {
            transitions.iter().filter(|it| is_crash_loop(it)).for_each(|it| self.crash_loops.add(&it.lane));
        }
        has_loops
    }

    /// Tasks started.
    pub fn leased(&self, tasks: &[Leased]) {
        tasks.iter().for_each(|it| self.waited.observe(it.waited.as_secs_f64()));
    }

    /// An attempt that started at `started` was reported.
    pub fn ran(&self, started: Option<Timestamp>, now: Timestamp) {
        if let Some(started) = started {
            self.ran.observe(now.since(started).as_secs_f64());
        }
    }

    /// A limit of the engine's options was reached.
    pub fn limit_hit(&self, limit: &'static str) {
        self.limits.get_or_create(&vec![("limit", limit.to_owned())]).inc();
    }

    pub fn swept(&self, tasks: usize) {
        self.swept.inc_by(tasks as u64);
    }
}

/// Every metric in the OpenMetrics text format. Counts are read from the store, which keeps them; no row is counted.
pub(crate) async fn render(inside: &Arc<Inside>) -> String {
    let mut registry = Registry::with_prefix("tasklane");
    register(&mut registry, &inside.metrics);
    levels(&mut registry, inside);
    if let (Ok(queues), Ok(stats)) = (inside.store.queues(None).await, inside.store.stats().await) {
        queue_levels(&mut registry, &queues, inside.store.now());
        store_levels(&mut registry, &stats);
    }
    if let Ok(gates) = gate_levels::look(&*inside.store).await {
        gate_levels::levels(&mut registry, &gates);
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn register(registry: &mut Registry, metrics: &Metrics) {
    let seconds = Unit::Seconds;
    registry.register("tasks_accepted", "Tasks accepted", metrics.accepted.clone());
    registry.register("attempts_ended", "Attempts that ended, by why", metrics.ended.clone());
    registry.register("leases_lost", "Leases that ran out", metrics.lost.clone());
    let help = "Tasks quarantined by a row of crashes, by type";
    registry.register("crash_loops", help, metrics.crash_loops.counters.clone());
    registry.register("limits_hit", "Times a limit was reached, by its name", metrics.limits.clone());
    registry.register_with_unit("wait", "From queued to started", seconds.clone(), metrics.waited.clone());
    registry.register_with_unit("run", "From started to reported", seconds.clone(), metrics.ran.clone());
    registry.register_with_unit("commit", "One commit, queueing for it included", seconds, metrics.commits.clone());
    registry.register("commit_transitions", "Transitions of one commit", metrics.commit_events.clone());
    registry.register("commits_failed", "Commits that wrote nothing", metrics.failed_commits.clone());
    registry.register("tasks_swept", "Final tasks removed", metrics.swept.clone());
}

fn levels(registry: &mut Registry, inside: &Inside) {
    let mut level = |name: &str, help: &str, value: usize| {
        let gauge = Level::default();
        gauge.set(value as f64);
        registry.register(name, help, gauge);
    };
    level("leases_held", "Tasks this server leased and that run", inside.facts.len());
    level("leases_parked", "Lease requests waiting for work", inside.parked.len());
    level("waits", "Tasks somebody waits for", inside.waits.len());
    level("streams", "Streams of events and logs that are open", inside.watches.len());
    level("workers", "Workers heard of lately", inside.workers.len());
}

fn queue_levels(registry: &mut Registry, queues: &[Queue], now: Timestamp) {
    let depth = Family::<Labels, Level>::default();
    let oldest = Family::<Labels, Level>::default();
    for queue in queues.iter().take(QUEUES) {
        for &state in State::ALL.iter().filter(|it| !it.is_final()) {
            let labels = vec![("queue", queue.name.to_string()), ("state", state.to_string())];
            depth.get_or_create(&labels).set(queue.counts.of(state) as f64);
        }
        let age = queue.oldest_queued_at.map_or(0.0, |at| now.since(at).as_secs_f64());
        oldest.get_or_create(&vec![("queue", queue.name.to_string())]).set(age);
    }
    registry.register("queue_tasks", "Unfinished tasks, by queue and state", depth);
    let help = "How long the oldest queued task has been queued";
    registry.register_with_unit("queue_oldest_age", help, Unit::Seconds, oldest);
}

fn store_levels(registry: &mut Registry, stats: &StoreStats) {
    let tasks = Family::<Labels, Level>::default();
    for &state in State::ALL {
        tasks.get_or_create(&vec![("state", state.to_string())]).set(stats.counts.of(state) as f64);
    }
    tasks.get_or_create(&vec![("state", "deleted".to_owned())]).set(stats.counts.deleted() as f64);
    registry.register("tasks", "Tasks kept, by state; deleted are those hidden until the sweep", tasks);
    for (name, help, value) in [
        ("store", "Size of the store", stats.bytes),
        ("store_wal", "Size of the store's write-ahead log", stats.wal_bytes),
    ] {
        let gauge = Level::default();
        gauge.set(value as f64);
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
    let regained = Level::default();
    regained.set(stats.slots_regained as f64);
    let help = "Slots of gates that nothing that runs held, set right since start: none but for a fault";
    registry.register("gate_slots_regained", help, regained);
}
