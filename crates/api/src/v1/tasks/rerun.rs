//! POST `/v1/tasks/{task}:rerun`: answers with the new task.

use tasklane_core::queue::is_of_system;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{FORBIDDEN, Refused};

pub(crate) async fn rerun(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = call.task_to_change().await?;
    let facts = call.engine().facts(id).await?;
    if facts.is_some_and(|it| is_of_system(&it.lane.queue)) {
        // It would do so to what came since, and nobody would be told of it.
        return Err(Refused::new(
            FORBIDDEN,
            "a task of the system's own is not run again; ask for what it did once more",
        ));
    }
    let task = call.engine().rerun(id).await?;
    Ok(answer::ok(answer::task_body(&task)))
}
