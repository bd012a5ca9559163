//! GET `/v1/queues/{queue}`

use tasklane_core::gate::GateName;
use tasklane_core::queue::Queue;
use tasklane_wire::queue::QueueShape;

use super::verdict::verdict;
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{QUEUE_NOT_FOUND, Refused};

pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    let queues = call.engine().queues(Some(call.name.as_str().into())).await?;
    let queue = queues.into_iter().next().ok_or_else(queue_not_found)?;
    answer(&call, &queue).await
}

/// 200 with a queue.
pub(super) async fn answer(call: &Call, queue: &Queue) -> Answer {
    let verdict = verdict(call.engine(), queue).await?;
    let gate = call.engine().gate(GateName::Queue(queue.name.clone())).await?;
    let bounds = gate.as_ref().map(|it| &it.gate.bounds);
    answer::shape(&QueueShape::new(queue, call.engine().now(), verdict, bounds))
}

/// There is no such queue.
pub(super) fn queue_not_found() -> Refused {
    Refused::new(QUEUE_NOT_FOUND, "there is no queue of this name; a queue exists from its first task")
}
