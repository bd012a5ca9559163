//! The first station: accepts submissions. What may start at once is handed, in the same commit, to a worker that waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::accept::{Accepted, NewTask, Start, Submission};
use tasklane_core::error::StoreError;
use tasklane_core::event::Transition;
use tasklane_core::ports::store::Batch;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::{Reason, State};
use tasklane_core::task::Lane;

use crate::calls::{SubmitError, Submitted};
use crate::inside::Inside;
use crate::parked::Seat;

/// Accepts a submission: on disk when this answers.
pub(crate) async fn submit(inside: &Arc<Inside>, submission: Submission) -> Result<Vec<Accepted>, SubmitError> {
    if submission.tasks.is_empty() {
        return Ok(Vec::new());
    }
    let seats = seats_for(inside, &submission.tasks);
    let batch = Batch { accept: vec![submission], ..Batch::default() };
    if sabotage::is(Sabotage::EarlyAnswer) {
        return Ok(answer_early(inside, batch, seats));
    }
    let committed = inside.commit_with(batch, seats).await?;
    only_answer(committed.answers.accept)
}

/// Accepts one task; a new one is made again from the request and the time of the commit, so that nothing is read back.
pub(crate) async fn submit_one(inside: &Arc<Inside>, task: NewTask) -> Result<Submitted, SubmitError> {
    let again = task.clone();
    let seats = seats_for(inside, [&task]);
    let batch = Batch { accept: vec![Submission { tasks: vec![task] }], ..Batch::default() };
    let answers = inside.commit_with(batch, seats).await?.answers;
    let accepted = only_answer(answers.accept)?.into_iter().next();
    let accepted = accepted.expect("a store answers each task of a submission");
    let is_acceptance = |it: &&Transition| it.task == accepted.id && it.reason == Reason::Accepted;
    let at = answers.transitions.iter().find(is_acceptance).map(|it| it.at);
    Ok(Submitted { accepted, task: at.map(|at| again.into_task(at)) })
}

/// Accepts submissions that stand alone, in one commit.
pub(crate) async fn submit_each(
    inside: &Arc<Inside>,
    submissions: Vec<Submission>,
) -> Result<Vec<Result<Vec<Accepted>, SubmitError>>, StoreError> {
    if submissions.is_empty() {
        return Ok(Vec::new());
    }
    let tasks = submissions.iter().flat_map(|it| &it.tasks);
    let seats = seats_for(inside, tasks);
    let batch = Batch { accept: submissions, ..Batch::default() };
    let committed = inside.commit_with(batch, seats).await?;
    Ok(committed.answers.accept.into_iter().map(|it| it.map_err(SubmitError::Refused)).collect())
}

/// What must never be: an answer that the commit has not earned yet.
fn answer_early(inside: &Arc<Inside>, batch: Batch, seats: Vec<Seat>) -> Vec<Accepted> {
    let tasks = batch.accept.iter().flat_map(|it| &it.tasks);
    let accepted = tasks.map(|it| Accepted { id: it.id, state: State::Queued, existing: false }).collect();
    let inside = Arc::clone(inside);
    tokio::spawn(async move { drop(inside.commit_with(batch, seats).await) });
    accepted
}

fn seats_for<'a>(inside: &Inside, tasks: impl IntoIterator<Item = &'a NewTask>) -> Vec<Seat> {
    let mut startable = tasks.into_iter().filter(|task| task.start == Start::Now).peekable();
    if startable.peek().is_none() || inside.is_draining() || inside.parked.len() == 0 {
        return Vec::new();
    }
    let mut owed: BTreeMap<&Arc<Lane>, usize> = BTreeMap::new();
    for task in startable {
        *owed.entry(&task.lane).or_default() += 1;
    }
    inside.parked.take_for(owed.into_iter())
}

fn only_answer(
    answers: Vec<Result<Vec<Accepted>, tasklane_core::accept::Refused>>,
) -> Result<Vec<Accepted>, SubmitError> {
    let answer = answers.into_iter().next();
    answer.expect("a store answers each submission").map_err(SubmitError::Refused)
}
