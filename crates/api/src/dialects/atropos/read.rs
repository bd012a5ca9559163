//! GET `/tasks/{task}/status` and `/tasks/{task}/result`: both answer with the whole task, whatever its state.

use super::{error, task, write};
use crate::answer::{self, Answer};
use crate::call::Call;

pub(super) async fn read(call: Call) -> Answer {
    let Some(task) = task(&call).await? else { return Ok(error::task_not_found()) };
    let mut out = Vec::with_capacity(task.payload.len() + 512);
    write::write(&mut out, &task);
    Ok(answer::ok(out))
}
