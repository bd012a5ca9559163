//! Laws of gates, held against what the model answers: nobody starts beyond a limit, and of whatever can start somebody was
//! told who has not looked since.

use std::sync::Arc;

use tasklane_core::lease::LeaseRequest;
use tasklane_core::ports::store::{Answers, Batch, Store, TaskFilter};
use tasklane_core::queue::QueueState;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::Lane;

use crate::pair::Pair;

/// What a batch lets its caller know or look at.
pub struct Told {
    looks: Vec<LeaseRequest>,
    opened: Vec<Box<str>>,
    promotes: bool,
}

impl Told {
    pub fn of(batch: &Batch) -> Self {
        let opened = batch.control.iter().filter(|(_, state)| *state != QueueState::Paused);
        let opened = opened.map(|(queue, _)| queue.clone()).collect();
        Self { looks: batch.lease.clone(), opened, promotes: batch.promote > 0 }
    }
}

impl Pair {
    pub async fn gate_laws(&mut self, told: Told, answers: &Answers) {
        self.nobody_is_beyond(answers).await;
        self.note(&told, answers);
        // Room that comes by time is told by who promotes.
        if told.promotes {
            self.somebody_knows().await;
        }
    }

    async fn nobody_is_beyond(&self, answers: &Answers) {
        for leased in answers.lease.iter().flatten() {
            for name in leased.facts.passes() {
                let Some(gate) = self.model.gate(name).await.unwrap() else { continue };
                let most = gate.gate.bounds.max_running.map_or(u64::MAX, u64::from);
                assert!(gate.gate.running <= most, "{leased:?} is beyond {gate:?}");
            }
        }
    }

    /// A look that found less than it wanted leaves nothing in its lanes; what a commit tells comes to it.
    fn note(&mut self, told: &Told, answers: &Answers) {
        for (look, _) in told.looks.iter().zip(&answers.lease).filter(|(look, got)| got.len() < look.limit) {
            self.told.retain(|lane, _| !look.serves(lane));
        }
        let mut tell = |lane: &Arc<Lane>, more| *self.told.entry(Arc::clone(lane)).or_default() += more;
        answers.opened.iter().for_each(|(lane, more)| tell(lane, *more));
        for event in &answers.transitions {
            let of = |wanted| answers.transitions.iter().filter(|it| it.lane == event.lane && it.to == wanted).count();
            // What a rescue queues comes after the looks of its commit.
            let is_late = event.to == State::Queued && event.reason == Reason::LeaseLost;
            tell(&event.lane, usize::from(is_late || of(State::Queued) > of(State::Running)));
        }
        for queue in &told.opened {
            for task_type in ["x", "y"] {
                tell(&Lane::new(queue, task_type), 1);
            }
        }
    }

    async fn somebody_knows(&self) {
        let filter = || TaskFilter { state: Some(State::Queued), ..TaskFilter::default() };
        let queued = self.model.list(filter(), None, 999).await.unwrap().tasks;
        let queues = self.model.queues(None).await.unwrap();
        for task in queued {
            let lane = &task.facts.lane;
            let is_paused = queues.iter().any(|it| it.name == lane.queue && it.state == QueueState::Paused);
            let told = self.told.get(lane).copied().unwrap_or(0);
            assert!(is_paused || told > 0, "nobody was told of {task:?}");
        }
    }
}
