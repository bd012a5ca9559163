//! The road of one attempt through this worker, in small steps over one value:
//! refuse what is to stop → begin → poll once → (drive) → judge → fit.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll, Waker};
use std::time::Duration;

use tasklane_core::limit;
use tasklane_core::outcome::{FailureKind, Outcome, cut};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::Context;
use tokio::time::{Instant, sleep_until};

use crate::attempt::{Attempt, Stop};
use crate::options::Options;
use crate::runner::Shared;
use crate::table::Table;

/// How far an attempt came by its first poll.
pub(crate) enum Begun {
    /// To its end; `None` where the outcome is worth nothing.
    Ended(Option<Outcome>),
    /// It waits for something.
    Waits(Guarded),
}

/// The first steps, up to the first poll; nothing here waits.
pub(crate) fn begin(table: &Table, attempt: &Arc<Attempt>) -> Begun {
    if attempt.stop() != Stop::No {
        return Begun::Ended(judge(attempt, given_up(attempt)));
    }
    let mut work = start(table, attempt);
    // Whatever still waits is polled again by the task that drives it, which brings the real waker.
    match Pin::new(&mut work).poll(&mut Polling::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Begun::Ended(judge(attempt, outcome)),
        Poll::Pending => Begun::Waits(work),
    }
}

/// The last steps of an attempt that waits: drives it to its end, or gives it up when its time is over.
pub(crate) async fn drive(shared: Arc<Shared>, attempt: Arc<Attempt>, mut work: Guarded) {
    let outcome = tokio::select! {
        biased;
        outcome = &mut work => outcome,
        () = told_long_ago(&attempt, &shared.options) => given_up(&attempt),
        () = too_long(&attempt) => {
            attempt.tell(Stop::TooLong);
            given_up(&attempt)
        }
    };
    drop(work);
    let outcome = judge(&attempt, outcome);
    shared.ended([(attempt, outcome)]);
}

/// Asks the executor for the work. A handler that panics while it is only being called is one that failed.
fn start(table: &Table, attempt: &Arc<Attempt>) -> Guarded {
    let executor = table.executor(&attempt.task.facts.lane.task_type);
    let context = Arc::clone(attempt) as Arc<dyn Context>;
    let work = catch_unwind(AssertUnwindSafe(|| executor.run(Arc::clone(&attempt.task), context)));
    Guarded(Some(work.unwrap_or_else(|panic| Box::pin(std::future::ready(panicked(&*panic))))))
}

/// Ends when the attempt was told to stop and has not stopped in its grace.
async fn told_long_ago(attempt: &Attempt, options: &Options) {
    let (mut known, mut end) = (Stop::No, None);
    loop {
        tokio::select! {
            biased;
            () = sleep_or_never(end) => return,
            () = attempt.told_more(known) => {}
        }
        known = attempt.stop();
        // A later word may shorten the time, never lengthen it.
        let over = Instant::now() + attempt.grace(known, options);
        end = Some(end.map_or(over, |it: Instant| it.min(over)));
    }
}

async fn sleep_or_never(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Ends when the attempt has taken longer than it may.
async fn too_long(attempt: &Attempt) {
    match attempt.task.facts.spec.attempt_timeout {
        Some(most) => sleep_until(attempt.arrived + most.min(limit::DURATION)).await,
        None => std::future::pending().await,
    }
}

/// What becomes of an attempt that this worker ended itself.
fn given_up(attempt: &Attempt) -> Outcome {
    match attempt.stop() {
        Stop::TooLong => Outcome::failed(FailureKind::Timeout, too_long_message(attempt)),
        Stop::Cancelled => Outcome::Cancelled,
        Stop::No | Stop::Here | Stop::Unrenewed | Stop::Lost => Outcome::Released,
    }
}

fn too_long_message(attempt: &Attempt) -> String {
    let most = attempt.task.facts.spec.attempt_timeout.unwrap_or_default();
    format!("the attempt took longer than its attempt_timeout of {most:?}")
}

/// What the outcome is worth, seen what the attempt was told: nothing after its lease was lost, and no failure where only
/// this worker's own end, or the way to the server, stopped it.
fn judge(attempt: &Attempt, outcome: Outcome) -> Option<Outcome> {
    match (attempt.stop(), outcome) {
        (Stop::Lost, _) => None,
        (Stop::Here | Stop::Unrenewed, Outcome::Failed { .. } | Outcome::Cancelled) => Some(Outcome::Released),
        (_, outcome) => Some(fit(outcome)),
    }
}

/// The outcome within the limits of the wire.
fn fit(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Succeeded(result) if result.len() > limit::PAYLOAD_BYTES => Outcome::failed(
            FailureKind::Permanent,
            format!("the result has {} bytes; at most {} are kept", result.len(), limit::PAYLOAD_BYTES),
        ),
        Outcome::Failed { mut failure, retry_after } => {
            failure.message = cut(failure.message, limit::FAILURE_MESSAGE_BYTES);
            failure.stack = failure.stack.map(|it| cut(it, limit::FAILURE_DETAIL_BYTES));
            failure.details = failure.details.filter(|it| it.len() <= limit::FAILURE_DETAIL_BYTES);
            Outcome::Failed { failure, retry_after: retry_after.map(short) }
        }
        Outcome::Snoozed(after) => Outcome::Snoozed(short(after)),
        other => other,
    }
}

fn short(after: Duration) -> Duration {
    after.min(limit::DURATION)
}

/// A handler's work whose panics, also the ones of its destructors, are failures of the attempt and nobody else's.
pub(crate) struct Guarded(Option<BoxFuture<'static, Outcome>>);

impl Future for Guarded {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Outcome> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(polling)));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => panicked(&*panic),
        };
        self.let_go();
        Poll::Ready(outcome)
    }
}

impl Guarded {
    fn let_go(&mut self) {
        if let Some(work) = self.0.take()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(work)))
        {
            tracing::warn!(message = panic_message(&*panic), "a handler panicked while it was being dropped");
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    Outcome::failed(FailureKind::Error, format!("the handler panicked: {}", panic_message(panic)))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
