//! POST `/v1/webhooks`: sets one up, and answers with its secret, this once.

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use tasklane_engine::NewEndpoint;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;
use tasklane_wire::webhook::{WebhookDraft, WebhookShape};

use super::{once, shape};
use crate::answer::Answer;
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn make(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let new = read(&call, &received.bytes)?;
    let (made, secret) = call.acting().make_endpoint(new).await?;
    let location = HeaderValue::from_str(&format!("/v1/webhooks/{}", made.id.0)).expect("an id is ASCII");
    let told = WebhookShape { secret: Some(secret.reveal()), ..shape(&made) };
    once(&told, StatusCode::CREATED, HeaderMap::from_iter([(LOCATION, location)]))
}

fn read(call: &Call, body: &[u8]) -> Result<NewEndpoint, Refused> {
    let mut findings = Findings::default();
    let draft = WebhookDraft::read_new(Value::new(validate(body, 0)?), &mut findings);
    let (tenant, secret) = (draft.tenant.clone(), draft.secret.clone());
    let Some(order) = draft.order(&mut findings) else { return Err(findings.into()) };
    call.app.options.outward.check("/url", &order.url)?;
    Ok(NewEndpoint { tenant: call.tenant_of(tenant)?, order, secret })
}
