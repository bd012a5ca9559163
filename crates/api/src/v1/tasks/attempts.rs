//! GET `/v1/tasks/{task}/attempts`: the history, oldest first.

use tasklane_wire::task::write_attempt;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::task_not_found;

pub(crate) async fn attempts(call: Call) -> Answer {
    call.no_query()?;
    let attempts = call.engine().attempts(call.task().await?).await?.ok_or_else(task_not_found)?;
    Ok(answer::page(&attempts, write_attempt, None))
}
