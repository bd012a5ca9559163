//! Takes its time: says how far it is each half second, and stops as soon as it is told to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::executor::Context;
use tasklane_core::task::Progress;
use tokio::time::{Instant, sleep_until};

/// How often progress is said.
const STEP: Duration = Duration::from_millis(500);

/// How long it takes, and what is answered then.
pub(super) struct Work {
    takes: Duration,
    result: Box<dyn FnOnce() -> serde_json::Result<Vec<u8>> + Send>,
}

impl Work {
    /// Work that takes so long; `result` is made at its end.
    pub(super) fn new<R: Serialize>(takes: Duration, result: impl FnOnce() -> R + Send + 'static) -> Self {
        Self { takes, result: Box::new(move || serde_json::to_vec(&result())) }
    }
}

pub(super) async fn walk(work: Work, context: Arc<dyn Context>) -> Outcome {
    tokio::select! {
        biased;
        () = steps(work.takes, &*context) => end(work),
        () = context.cancelled() => Outcome::Cancelled,
    }
}

async fn steps(takes: Duration, context: &dyn Context) {
    let began = Instant::now();
    let mut done = Duration::ZERO;
    while done < takes {
        done = takes.min(done + STEP);
        sleep_until(began + done).await;
        let percent = 100.0 * done.as_secs_f64() / takes.as_secs_f64();
        context.progress(Progress { percent: Some(percent), ..Progress::default() });
    }
}

fn end(work: Work) -> Outcome {
    match (work.result)() {
        Ok(json) => Outcome::Succeeded(Bytes::from(json)),
        Err(error) => Outcome::failed(FailureKind::Error, format!("the result is not JSON: {error}")),
    }
}
