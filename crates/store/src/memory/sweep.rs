//! Beside the road: what need not be kept goes, a bounded step at a time.

use tasklane_core::limit;
use tasklane_core::ports::store::Sweep;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use super::{Model, Tx};

/// Where the last step ended, in the order of acceptance.
#[derive(Default)]
pub(super) struct Cursor {
    after: u64,
    excess: bool,
}

impl Model {
    fn excess(&self, sweep: &Sweep) -> u64 {
        let finished = self.tasks.values().filter(|kept| kept.task.facts.state.is_final()).count() as u64;
        sweep.retention.excess(finished, sweep.disk, sweep.limit)
    }
}

impl Tx<'_> {
    pub(super) fn sweep(&mut self, sweep: &Sweep) {
        let excess = self.model.excess(sweep);
        if excess > 0 && !self.model.sweep.excess {
            // The oldest go first: begin where they stand.
            self.model.sweep.after = 0;
        }
        let after = self.model.sweep.after;
        let rows: Vec<_> = self.model.order.range(after + 1..).take(sweep.limit).map(|(seq, id)| (*seq, *id)).collect();
        self.model.sweep.after = rows.last().filter(|_| rows.len() == sweep.limit).map_or(0, |(seq, _)| *seq);
        let mut clearing = sweep.retention.clearing(excess, self.now);
        for (_, id) in rows {
            let Some(kept) = self.model.tasks.get(&id) else { continue };
            let (state, finished) = (kept.task.facts.state, kept.task.finished_at);
            if clearing.takes(state, finished) {
                self.remove(id, state);
            }
        }
        self.model.sweep.excess = clearing.has_excess();
        self.forget_keys_and_events();
    }

    fn remove(&mut self, id: tasklane_core::task::TaskId, state: State) {
        debug_assert!(state.is_final(), "only final tasks are swept");
        self.answers.sweep += usize::from(self.model.remove(id).is_some());
    }

    fn forget_keys_and_events(&mut self) {
        let now = self.now;
        self.model.idempotency.retain(|_, holder| holder.until.is_none_or(|until| until > now));
        self.model.unique.retain(|_, holder| holder.until.is_none_or(|until| until > now));
        let is_over = |at: Timestamp| now.since(at) >= limit::EVENTS_KEPT;
        while self.model.log.front().is_some_and(|(_, at, _)| is_over(*at)) && self.model.log.len() > 1 {
            self.model.log.pop_front();
        }
    }
}
