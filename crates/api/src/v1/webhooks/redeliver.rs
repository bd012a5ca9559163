//! POST `/v1/webhooks/{webhook}/deliveries/{delivery}:redeliver` sends one once more, POST `/v1/webhooks/{webhook}:redeliver` all
//! that failed.

use tasklane_engine::DeliveryQuery;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, task_id};
use tasklane_wire::webhook::{self, DeliveryShape};

use super::named;
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{delivery_not_found, task_not_found};

/// Answers with the delivery that is on its way.
pub(crate) async fn redeliver(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let webhook = named(&call).await?.id;
    let id = task_id(&call.name).ok_or_else(delivery_not_found)?;
    answer::shape(&DeliveryShape::new(&call.acting().redeliver(webhook, id).await?))
}

/// Answers with the task that does it, as a bulk does.
pub(crate) async fn redeliver_failed(mut call: Call) -> Answer {
    call.no_query()?;
    let mut findings = Findings::default();
    let (since, until) = match call.action_body().await? {
        Some(received) => webhook::read_redelivery(Value::new(validate(&received.bytes, 0)?), &mut findings),
        None => (None, None),
    };
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let id = named(&call).await?.id;
    let wanted = DeliveryQuery { state: None, since, until };
    let done = call.acting().redeliver_failed(id, wanted, call.tenant()).await?;
    let task = call.engine().wait(done.accepted.id, std::time::Duration::ZERO).await?.ok_or_else(task_not_found)?;
    Ok(answer::ok(answer::task_body(&task)))
}
