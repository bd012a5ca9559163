//! POST `/v1/schedules/{schedule}:pause`, `:resume` and `:run`, and DELETE `/v1/schedules/{schedule}`.

use std::time::Duration;

use tasklane_engine::Submitted;

use super::{named, shape};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::task_not_found;

pub(crate) async fn pause(call: Call) -> Answer {
    set_paused(call, true).await
}

pub(crate) async fn resume(call: Call) -> Answer {
    set_paused(call, false).await
}

async fn set_paused(mut call: Call, paused: bool) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    answer::shape(&shape(&call.acting().pause_schedule(named(&call).await?.id, call.tenant(), paused).await?))
}

/// Answers with the task that was made, or that its unique key led to.
pub(crate) async fn run(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let Submitted { accepted, task } = call.engine().run_schedule(named(&call).await?.id).await?;
    let task = match task {
        Some(task) => task,
        // Its unique key led to another.
        None => call.engine().wait(accepted.id, Duration::ZERO).await?.ok_or_else(task_not_found)?,
    };
    Ok(answer::ok(answer::task_body(&task)))
}

/// Answers with the schedule as it was.
pub(crate) async fn delete(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    answer::shape(&shape(&call.acting().remove_schedule(named(&call).await?.id, call.tenant()).await?))
}
