//! Gates, counted by what the transitions said: never more run than a gate lets through, and none stays full without
//! cause.

use std::collections::VecDeque;
use std::time::Duration;

use tasklane_core::gate::{Bounds, Limit};
use tasklane_core::ports::store::Answers;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use super::{Known, Ledger};

/// What is known of one gate.
pub(super) struct Passed {
    bounds: Bounds,
    /// When tasks started that pass it.
    starts: VecDeque<Timestamp>,
    /// When it was last seen full, by the time of the simulated world.
    pub(super) was_full: Duration,
    is_full: bool,
}

impl Ledger {
    /// After a commit at `now`: who started is written down, and nobody is beyond a limit.
    pub(super) fn gates(&mut self, answers: &Answers, now: Timestamp) {
        let limits = self.tasks.values().flat_map(|it| it.limits.iter());
        for Limit { key, bounds } in limits {
            self.gates.entry(key.clone()).or_insert_with(|| Passed::new(*bounds));
        }
        for started in answers.transitions.iter().filter(|it| it.to == State::Running) {
            let limits = self.tasks.get(&started.task).map(|it| it.limits.clone());
            for limit in limits.iter().flat_map(|it| it.iter()) {
                self.gates.entry(limit.key.clone()).and_modify(|it| it.starts.push_back(started.at));
            }
        }
        self.look_at_gates(now);
    }

    /// At `now` of the store: which gates are full.
    pub fn look_at_gates(&mut self, now: Timestamp) {
        let mut wrong = None;
        for (key, gate) in &mut self.gates {
            let passes = |it: &&Known| it.state == State::Running && it.limits.iter().any(|limit| limit.key == *key);
            let running = self.tasks.values().filter(passes).count();
            let (is_full, is_over) = gate.judge(running, now);
            gate.is_full = is_full;
            if is_full {
                gate.was_full = self.now;
            }
            if is_over {
                let (starts, bounds) = (gate.starts.len(), gate.bounds);
                wrong = Some(format!("gate {key} let {running} run and {starts} start lately: {bounds:?}"));
            }
        }
        if let Some(wrong) = wrong {
            self.break_law(|| wrong);
        }
    }

    /// Whether one of these gates is full.
    pub(super) fn is_full(&self, limits: &[Limit]) -> bool {
        limits.iter().any(|it| self.gates.get(&it.key).is_some_and(|gate| gate.is_full))
    }
}

impl Passed {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, starts: VecDeque::new(), was_full: Duration::ZERO, is_full: false }
    }

    /// Whether it is full with so many running, and whether it is beyond that.
    fn judge(&mut self, running: usize, now: Timestamp) -> (bool, bool) {
        let most = self.bounds.max_running.map_or(usize::MAX, |it| it as usize);
        let Some(rate) = self.bounds.rate else { return (running >= most, running > most) };
        self.starts.retain(|at| at.plus(rate.per) > now);
        let (lately, count) = (self.starts.len(), rate.count as usize);
        (running >= most || lately >= count, running > most || lately > count)
    }
}
