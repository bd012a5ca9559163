//! POST `/v1/queues/{queue}:pause`, `:resume`, `:drain`

use tasklane_core::queue::QueueState;

use super::get::{answer, queue_not_found};
use crate::answer::Answer;
use crate::call::Call;

pub(crate) async fn pause(call: Call) -> Answer {
    control(call, QueueState::Paused).await
}

pub(crate) async fn resume(call: Call) -> Answer {
    control(call, QueueState::Active).await
}

pub(crate) async fn drain(call: Call) -> Answer {
    control(call, QueueState::Draining).await
}

async fn control(mut call: Call, to: QueueState) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let queue = call.acting().control(&call.name, to).await?.ok_or_else(queue_not_found)?;
    answer(&call, &queue).await
}
