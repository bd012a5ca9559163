//! Who runs which type.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tasklane_core::lease::Leased;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};

use crate::options::UNSERVED_PAUSE;

/// Who runs which type.
pub(crate) struct Table {
    by_type: HashMap<Box<str>, Arc<dyn Executor>>,
    others: Arc<dyn Executor>,
}

impl Table {
    /// Of two executors of one type the earlier one runs it; one that names `*` runs what no other names.
    pub(crate) fn new(executors: Vec<Arc<dyn Executor>>) -> Self {
        let mut by_type: HashMap<Box<str>, Arc<dyn Executor>> = HashMap::new();
        let mut others: Option<Arc<dyn Executor>> = None;
        for executor in executors {
            for name in executor.types() {
                if &*name == "*" {
                    others.get_or_insert_with(|| Arc::clone(&executor));
                } else {
                    by_type.entry(name).or_insert_with(|| Arc::clone(&executor));
                }
            }
        }
        Self { by_type, others: others.unwrap_or_else(|| Arc::new(Unserved::default())) }
    }

    pub(crate) fn executor(&self, task_type: &str) -> &Arc<dyn Executor> {
        self.by_type.get(task_type).unwrap_or(&self.others)
    }
}

/// Gives back, after a pause, what nobody here runs.
#[derive(Default)]
struct Unserved {
    warned: Mutex<HashSet<Box<str>>>,
}

/// After so many different types the warnings end, as the memory of them is bounded.
const WARNED_TYPES: usize = 1000;

impl Executor for Unserved {
    fn types(&self) -> Vec<Box<str>> {
        Vec::new()
    }

    fn run(&self, task: Arc<Leased>, _context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let task_type = &task.facts.lane.task_type;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < WARNED_TYPES && warned.insert(task_type.clone()) {
            tracing::warn!(%task_type, "no executor here serves this type; its tasks are given back");
        }
        Box::pin(async {
            tokio::time::sleep(UNSERVED_PAUSE).await;
            Outcome::Released
        })
    }
}
