//! GET `/v1/tasks/{task}/result`: the result JSON itself.

use bytes::Bytes;
use tasklane_core::state::State;
use tasklane_core::task::Task;
use tasklane_wire::task::FailureShape;

use super::wait::wait;
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{Refused, TASK_FAILED, TASK_NOT_FINISHED, task_not_found};

pub(crate) async fn result(call: Call) -> Answer {
    let mut query = call.query();
    let wait = wait(&mut query, &call.headers);
    query.finish()?;
    let task = call.engine().wait(call.task().await?, wait).await?.ok_or_else(task_not_found)?;
    let state = task.facts.state;
    match state {
        State::Succeeded => Ok(answer::ok(task.result.unwrap_or_else(|| Bytes::from_static(b"null")))),
        _ if state.is_final() => Err(failed(&task)),
        _ => {
            let detail = format!("the task is {state}; wait for its end with ?wait=30s, or ask again");
            Err(Refused::new(TASK_NOT_FINISHED, detail))
        }
    }
}

fn failed(task: &Task) -> Refused {
    let (state, reason) = (task.facts.state, task.reason);
    let detail = format!("the task {state} ({reason}) and has no result; retry tries it again");
    let detail = detail.replacen("the task cancelled", "the task was cancelled", 1);
    Refused::new(TASK_FAILED, detail).with_failure(task.failure.as_ref().map(FailureShape::from))
}
