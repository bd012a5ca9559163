//! POST `/tasks`: 200 with the task as it was accepted.

use std::sync::Arc;

use tasklane_core::accept::{Deadlines, NewTask as Accepting, Start, UniquePolicy};
use tasklane_core::gate::Limit;
use tasklane_core::task::{Lane, Spec};
use tasklane_wire::name::is_type;
use tasklane_wire::task::DEFAULT_QUEUE;

use super::new_task::{NewTask, Read, read};
use super::words::TYPES;
use super::{error, scope, write};
use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::internal;
use crate::limits;

pub(super) async fn submit(mut call: Call) -> Answer {
    let received = call.receive(Accepts::Anything, limits::TASK_BODY).await?;
    let new = match read(&call.headers, &received.bytes)? {
        Read::Task(new) => new,
        Read::Wrong(wrong) => return Ok(error::unprocessable(&wrong)),
    };
    let mut task = accepting(&call, new);
    call.own(&mut task)?;
    let submitted = call.engine().submit_one(task).await?;
    let task = submitted.task.ok_or_else(internal)?;
    let mut out = Vec::new();
    write::write(&mut out, &task);
    Ok(answer::ok(out))
}

fn accepting(call: &Call, new: NewTask) -> Accepting {
    let (lane, spec) = lane(call, &new.task_type);
    Accepting {
        id: call.engine().draw_id(),
        lane,
        scope: scope(),
        payload: new.parameters,
        start: Start::Now,
        priority: 0,
        limits: Limit::none(),
        spec,
        deadlines: Deadlines::default(),
        unique_policy: UniquePolicy::default(),
        idempotency: None,
    }
}

/// A type nobody ever served would wait for ever: it becomes `default`, and a label keeps its name. One that was served
/// keeps waiting for its worker: to run it as something else would be to lose it.
fn lane(call: &Call, task_type: &str) -> (Arc<Lane>, Arc<Spec>) {
    if is_type(task_type) {
        let lane = Lane::new(DEFAULT_QUEUE, task_type);
        if TYPES.contains(&task_type) || call.engine().is_known(&lane) {
            return (lane, Spec::shared());
        }
    }
    let labels = [(write::TYPE_LABEL.into(), task_type.into())].into();
    (Lane::new(DEFAULT_QUEUE, "default"), Arc::new(Spec { labels, ..Spec::default() }))
}
