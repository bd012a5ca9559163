//! POST `/v1/webhooks/{webhook}:enable`, `:disable`, `:rotate-secret` and `:test`, and DELETE `/v1/webhooks/{webhook}`.

use http::{HeaderMap, StatusCode};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;
use tasklane_wire::webhook::{self, DeliveryShape, WebhookShape};

use super::{named, once, shape};
use crate::answer::{self, Answer};
use crate::call::Call;

/// What waited is sent, and what happens from now on.
pub(crate) async fn enable(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = named(&call).await?.id;
    answer::shape(&shape(&call.acting().enable_endpoint(id).await?))
}

/// Nothing is sent any more; what waits is kept.
pub(crate) async fn disable(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = named(&call).await?.id;
    answer::shape(&shape(&call.acting().disable_endpoint(id).await?))
}

/// Answers with the new secret, this once.
pub(crate) async fn rotate(mut call: Call) -> Answer {
    call.no_query()?;
    let id = named(&call).await?.id;
    let mut findings = Findings::default();
    let overlap = match call.action_body().await? {
        Some(received) => webhook::read_rotation(Value::new(validate(&received.bytes, 0)?), &mut findings),
        None => webhook::OVERLAP,
    };
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let (rotated, secret) = call.acting().rotate_endpoint(id, overlap).await?;
    let told = WebhookShape { secret: Some(secret.reveal()), ..shape(&rotated) };
    once(&told, StatusCode::OK, HeaderMap::new())
}

/// Answers with the delivery that tries it.
pub(crate) async fn test(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = named(&call).await?.id;
    answer::shape(&DeliveryShape::new(&call.acting().try_endpoint(id).await?))
}

/// What waits for it fails. Answers with what it was.
pub(crate) async fn delete(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = named(&call).await?.id;
    answer::shape(&shape(&call.acting().remove_endpoint(id).await?))
}
