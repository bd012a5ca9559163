//! GET `/v1/tasks/{task}/why`

use tasklane_engine::{Asker, WhyReason};
use tasklane_wire::task::{ReasonShape, Why};

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::task_not_found;

pub(crate) async fn why(call: Call) -> Answer {
    call.no_query()?;
    let asker = if call.tenant().is_some() { Asker::Tenant } else { Asker::Operator };
    let why = call.engine().why(call.task().await?, asker).await?.ok_or_else(task_not_found)?;
    let facts = &why.task.facts;
    answer::shape(&Why { id: facts.id, state: facts.state, reasons: why.reasons.into_iter().map(shape).collect() })
}

fn shape(reason: WhyReason) -> ReasonShape {
    let WhyReason { code, message, remedy, opens_at } = reason;
    ReasonShape { code: code.to_owned(), message, remedy, opens_at }
}
