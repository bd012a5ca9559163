//! Beside the road: what there is, put together from the store and from what workers said of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::ports::store::StoreStats;
use tasklane_core::queue::Counts;

use crate::calls::{Overview, TypeOverview, WorkerOverview};
use crate::inside::Inside;

/// Workers heard of lately, in the order of their names.
pub(crate) fn workers(inside: &Inside) -> Vec<WorkerOverview> {
    let running = inside.facts.count_by_worker();
    let now = inside.store.now();
    let mut workers = inside.workers.all();
    // The server's own, for system queues, are nobody's concern.
    workers.retain(|(_, lanes, _)| lanes.iter().any(|it| !is_of_system(it)));
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
        of_type.queues.push(lane.queue.clone());
        of_type.counts.add_all(&known.counts);
    }
    let workers = inside.workers.all();
    let named = workers.iter().flat_map(|(_, lanes, _)| lanes.iter());
    // Types of system queues are not shown.
    for filter in named.filter(|it| !is_of_system(it)) {
        let TypeFilter::Only(names) = &filter.types else { continue };
        for name in names {
            types.entry(name.clone()).or_insert_with(|| empty(name));
        }
    }
    for (name, of_type) in &mut types {
        let serves = |filter: &LaneFilter| match &filter.types {
            _ if is_of_system(filter) => false,
            TypeFilter::Any => true,
            TypeFilter::Only(names) => names.contains(name),
        };
        of_type.workers = workers.iter().filter(|(_, lanes, _)| lanes.iter().any(serves)).count();
    }
    Ok(types.into_values().collect())
}

fn is_of_system(filter: &LaneFilter) -> bool {
    filter.queue.as_ref().is_some_and(|queue| queue.starts_with('~'))
}

fn empty(name: &str) -> TypeOverview {
    TypeOverview { name: name.into(), queues: Vec::new(), counts: Counts::default(), workers: 0 }
}

/// Everything in numbers.
pub(crate) async fn overview(inside: &Inside) -> Result<Overview, StoreError> {
    let store: StoreStats = inside.store.stats().await?;
    let queues = inside.store.queues(None).await?.len();
    Ok(Overview { store, queues, workers: workers(inside).len(), uptime: inside.started.elapsed() })
}
