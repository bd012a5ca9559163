//! Beside the road: what there is, put together from the store and from what workers said of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::lease::TypeFilter;
use tasklane_core::ports::store::StoreStats;
use tasklane_core::queue::Counts;

use crate::calls::{Overview, TypeOverview, WorkerOverview};
use crate::inside::Inside;

/// Queues of a type that are named; the others are only counted.
const QUEUES: usize = 100;

/// Workers heard of lately, in the order of their names.
pub(crate) fn workers(inside: &Inside) -> Vec<WorkerOverview> {
    let running = inside.facts.count_by_worker();
    let now = inside.store.now();
    let mut workers = inside.workers.all();
    // The server's own, for system queues, are nobody's concern.
    workers.retain(|(_, lanes, _)| lanes.iter().any(|it| !it.is_of_system()));
    workers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let one = |(name, lanes, silent): (Arc<str>, _, _)| {
        let running = running.get(&name).copied().unwrap_or_default();
        WorkerOverview { heard_at: now.minus(silent), running, name, lanes }
    };
    workers.into_iter().map(one).collect()
}

/// Types that have tasks, and those that workers name, in the order of their names.
pub(crate) async fn types(inside: &Inside) -> Result<Vec<TypeOverview>, StoreError> {
    let mut types: BTreeMap<Box<str>, TypeOverview> = BTreeMap::new();
    for known in inside.store.lanes().await? {
        let lane = &known.lane;
        let of_type = types.entry(lane.task_type.clone()).or_insert_with(|| empty(&lane.task_type));
        of_type.queue_count += 1;
        if of_type.queues.len() < QUEUES {
            of_type.queues.push(lane.queue.clone());
        }
        of_type.counts.add_all(&known.counts);
    }
    let workers = inside.workers.all();
    // Types of system queues are not shown.
    let mut of_all = 0;
    for (_, lanes, _) in &workers {
        let lanes = || lanes.iter().filter(|it| !it.is_of_system());
        if lanes().any(|it| it.types == TypeFilter::Any) {
            of_all += 1;
            continue;
        }
        let names = lanes().filter_map(|it| if let TypeFilter::Only(names) = &it.types { Some(names) } else { None });
        for name in names.flatten().collect::<BTreeSet<_>>() {
            types.entry(name.clone()).or_insert_with(|| empty(name)).workers += 1;
        }
    }
    types.values_mut().for_each(|it| it.workers += of_all);
    for (name, crashing) in inside.crashes.now(inside).await? {
        if let Some(of_type) = types.get_mut(&name) {
            of_type.crashing = Some(crashing);
        }
    }
    Ok(types.into_values().collect())
}

fn empty(name: &str) -> TypeOverview {
    TypeOverview {
        name: name.into(),
        queues: Vec::new(),
        queue_count: 0,
        counts: Counts::default(),
        workers: 0,
        crashing: None,
    }
}

/// Everything in numbers.
pub(crate) async fn overview(inside: &Inside) -> Result<Overview, StoreError> {
    let store: StoreStats = inside.store.stats().await?;
    let queues = inside.store.queues(None).await?.len();
    Ok(Overview { store, queues, workers: inside.workers.live(), uptime: inside.started.elapsed() })
}
