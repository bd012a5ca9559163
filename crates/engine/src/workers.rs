//! Workers heard of lately, and what they serve: for "why is it waiting?".

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::{LaneFilter, TypeFilter, serves};
use tasklane_core::task::Lane;
use tokio::time::Instant;

use crate::inside::lock;

/// A worker silent for this long is gone. Longer than the longest parked lease request.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(60);

/// Most names of types that workers heard of lately serve, in all; what goes beyond is not remembered.
const NAMES: usize = 1_000_000;

pub(crate) struct Workers {
    most: usize,
    heard: Mutex<HashMap<Arc<str>, Heard>>,
}

struct Heard {
    at: Instant,
    lanes: Arc<[LaneFilter]>,
}

impl Heard {
    fn names(&self) -> usize {
        let of_lane = |it: &LaneFilter| if let TypeFilter::Only(names) = &it.types { names.len() } else { 1 };
        self.lanes.iter().map(of_lane).sum()
    }
}

impl Workers {
    pub fn new(most: usize) -> Self {
        Self { most, heard: Mutex::default() }
    }

    /// `worker` asked for work of these lanes. `false`: there are too many to remember it.
    pub fn note(&self, worker: &Arc<str>, lanes: &Arc<[LaneFilter]>) -> bool {
        let at = Instant::now();
        let mut heard = lock(&self.heard);
        // Most ask for what they asked for before.
        if let Some(known) = heard.get_mut(worker).filter(|it| it.lanes == *lanes) {
            known.at = at;
            return true;
        }
        heard.remove(worker);
        let new = Heard { at, lanes: Arc::clone(lanes) };
        let is_room = heard.len() < self.most && heard.values().map(Heard::names).sum::<usize>() + new.names() <= NAMES;
        if is_room {
            heard.insert(Arc::clone(worker), new);
        }
        is_room
    }

    /// Whether a worker heard of lately serves the lane.
    pub fn serve(&self, lane: &Lane) -> bool {
        let now = Instant::now();
        lock(&self.heard).values().filter(|it| now.duration_since(it.at) < GONE_AFTER).any(|it| serves(&it.lanes, lane))
    }

    /// How many that do somebody's work were heard of lately; those of system queues alone are the server's own.
    pub fn live(&self) -> usize {
        let now = Instant::now();
        let heard = lock(&self.heard);
        heard
            .values()
            .filter(|it| now.duration_since(it.at) < GONE_AFTER && it.lanes.iter().any(|lane| !lane.is_of_system()))
            .count()
    }

    /// Workers heard of lately, what they serve, and how long ago they asked.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<[LaneFilter]>, Duration)> {
        let now = Instant::now();
        let heard = lock(&self.heard);
        let all = heard.iter().map(|(name, it)| (Arc::clone(name), Arc::clone(&it.lanes), now.duration_since(it.at)));
        all.filter(|(_, _, silent)| *silent < GONE_AFTER).collect()
    }

    pub fn forget_gone(&self, now: Instant) {
        lock(&self.heard).retain(|_, it| now.duration_since(it.at) < GONE_AFTER);
    }

    pub fn len(&self) -> usize {
        lock(&self.heard).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(names: usize) -> Arc<[LaneFilter]> {
        let names = (0..names).map(|n| n.to_string().into()).collect();
        [LaneFilter { queue: None, types: TypeFilter::Only(names) }].into()
    }

    #[tokio::test]
    async fn names_are_bounded_whoever_brings_them() {
        let (workers, a, b) = (Workers::new(10), "a".into(), "b".into());
        assert!(workers.note(&a, &serving(1)) && workers.note(&b, &serving(NAMES - 1)));
        assert!(!workers.note(&a, &serving(2)), "a worker that is known brings more");
        assert_eq!(workers.len(), 1);
        assert!(workers.note(&a, &serving(1)));
    }
}
