//! GET `/v1/tasks/{task}`

use super::wait::wait;
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::task_not_found;

pub(crate) async fn get(call: Call) -> Answer {
    let mut query = call.query();
    let wait = wait(&mut query, &call.headers);
    query.finish()?;
    let task = call.engine().wait(call.task().await?, wait).await?.ok_or_else(task_not_found)?;
    Ok(answer::ok(answer::task_body(&task)))
}
