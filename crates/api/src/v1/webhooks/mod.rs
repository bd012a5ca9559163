//! `/v1/webhooks`: where events are sent, and what was sent there. The holder of a tenant's key sees and makes webhooks of that
//! tenant alone, which are told of its tasks.

mod act;
mod change;
mod deliveries;
mod list;
mod make;
mod redeliver;

use http::{HeaderMap, StatusCode};
use tasklane_core::webhook::endpoint::EndpointId;
use tasklane_engine::Hook;
use tasklane_wire::read::task_id;
use tasklane_wire::webhook::WebhookShape;

pub(crate) use act::{delete, disable, enable, rotate, test};
pub(crate) use change::change;
pub(crate) use deliveries::{deliveries, delivery};
pub(crate) use list::{get, list};
pub(crate) use make::make;
pub(crate) use redeliver::{redeliver, redeliver_failed};

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{Refused, webhook_not_found};

/// The webhook that the path names first, if the caller may see it.
async fn named(call: &Call) -> Result<Hook, Refused> {
    let id = call.parent.as_deref().unwrap_or(&call.name);
    let id = task_id(id).map(|it| EndpointId(it.0)).ok_or_else(webhook_not_found)?;
    let found = call.engine().endpoint(id).await?;
    let is_own = |it: &Hook| call.tenant().is_none_or(|own| it.endpoint.tenant.as_deref() == Some(own));
    found.filter(is_own).ok_or_else(webhook_not_found)
}

fn shape(it: &Hook) -> WebhookShape {
    WebhookShape::new(it.id, &it.endpoint)
}

/// An answer whose secret no cache keeps.
fn once(shape: &WebhookShape, status: StatusCode, headers: HeaderMap) -> Answer {
    let mut answer = answer::shape(shape)?;
    *answer.status_mut() = status;
    answer.headers_mut().extend(headers);
    Ok(answer)
}
