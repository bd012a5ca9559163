//! PATCH `/v1/webhooks/{webhook}`: what is said changes, the rest stays.

use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;
use tasklane_wire::webhook::WebhookDraft;

use super::{named, shape};
use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::limits;

pub(crate) async fn change(mut call: Call) -> Answer {
    call.no_query()?;
    let was = named(&call).await?;
    let id = was.id;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let mut findings = Findings::default();
    let draft = WebhookDraft::read_change(Value::new(validate(&received.bytes, 0)?), &mut findings);
    draft.check_hidden(Some(&was.endpoint.order), &mut findings);
    if !findings.is_empty() {
        return Err(findings.into());
    }
    if let Some(url) = &draft.url {
        call.app.options.outward.check("/url", url)?;
    }
    let changed = call.acting().change_endpoint(id, |was| draft.clone().change(was)).await?;
    answer::shape(&shape(&changed))
}
