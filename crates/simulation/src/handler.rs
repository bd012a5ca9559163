//! What tasks do: they take their time, fail, snooze, are deaf to cancellations, and write down what they returned.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::Leased;
use tasklane_core::log::Level;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::task::Progress;

use crate::ground::{Ground, lock};

/// Runs every type.
pub struct Handler {
    ground: Arc<Ground>,
    worker: Arc<str>,
}

impl Handler {
    /// For the worker of this name.
    pub fn new(ground: &Arc<Ground>, worker: &str) -> Self {
        Self { ground: Arc::clone(ground), worker: worker.into() }
    }
}

impl Executor for Handler {
    fn types(&self) -> Vec<Box<str>> {
        vec!["*".into()]
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let (ground, worker) = (Arc::clone(&self.ground), Arc::clone(&self.worker));
        Box::pin(async move {
            ground.note(|| format!("{worker}: begins {} attempt {}", task.facts.id, task.facts.attempt));
            lock(&ground.ledger).began(task.key(), &worker);
            let outcome = if ground.dice.chance(500) {
                tokio::select! {
                    biased;
                    () = context.cancelled() => Outcome::Cancelled,
                    outcome = work(&ground, &*context, &task) => outcome,
                }
            } else {
                work(&ground, &*context, &task).await
            };
            ground.note(|| format!("{worker}: {} attempt {} {}", task.facts.id, task.facts.attempt, outcome.as_str()));
            lock(&ground.ledger).returned(task.key(), &outcome);
            outcome
        })
    }
}

async fn work(ground: &Ground, context: &dyn Context, task: &Leased) -> Outcome {
    let dice = &ground.dice;
    for part in 0..dice.below(4) {
        tokio::time::sleep(length(ground)).await;
        match dice.below(8) {
            0..3 => context.progress(Progress { percent: Some(part as f64), ..Progress::default() }),
            3..5 => context.log(Level::Info, format!("part {part}"), None),
            5 => context.checkpoint(Checkpoint { name: format!("part-{part}").into(), data: "{}".into() }),
            _ => {}
        }
    }
    outcome(ground, task)
}

fn length(ground: &Ground) -> Duration {
    let fails = lock(&ground.weather).handlers_fail;
    match ground.dice.below(20) {
        0 if fails => ground.dice.millis(5_000, 15_000),
        0..6 => ground.dice.millis(200, 2_000),
        _ => ground.dice.millis(0, 100),
    }
}

fn outcome(ground: &Ground, task: &Leased) -> Outcome {
    let fails = lock(&ground.weather).handlers_fail;
    match ground.dice.below(100) {
        0..15 if fails => Outcome::failed(FailureKind::Error, "no luck"),
        15..17 if fails => Outcome::failed(FailureKind::Permanent, "never"),
        17..20 if fails => Outcome::failed(FailureKind::Killed, "killed"),
        20..24 if fails => Outcome::Snoozed(ground.dice.millis(0, 5_000)),
        24..27 if fails => Outcome::Released,
        _ => Outcome::Succeeded(Bytes::from(format!("{{\"attempt\":{}}}", task.facts.attempt))),
    }
}
