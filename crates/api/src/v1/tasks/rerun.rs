//! POST `/v1/tasks/{task}:rerun`: answers with the new task.

use crate::answer::{self, Answer};
use crate::call::Call;

pub(crate) async fn rerun(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let task = call.engine().rerun(call.task().await?).await?;
    Ok(answer::ok(answer::task_body(&task)))
}
