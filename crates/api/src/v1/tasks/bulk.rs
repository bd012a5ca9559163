//! POST `/v1/tasks:bulk` `{filter, action, dry_run?}`: a task of a system queue that does it.

use tasklane_core::bulk::Bulk;
use tasklane_wire::bulk;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;

use super::submit::answered;
use super::wait::wait;
use crate::answer::Answer;
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn bulk(mut call: Call) -> Answer {
    let mut query = call.query();
    let wait = wait(&mut query, &call.headers);
    query.finish()?;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let mut bulk = read(&received.bytes)?;
    bulk.filter.tenant = call.tenant_of(bulk.filter.tenant)?;
    let done = call.acting().submit_bulk(&bulk, call.tenant()).await?;
    answered(&call, done, wait).await
}

fn read(body: &[u8]) -> Result<Bulk, Refused> {
    let mut findings = Findings::default();
    let bulk = bulk::read(Value::new(validate(body, 0)?), &mut findings);
    bulk.filter(|_| findings.is_empty()).ok_or_else(|| findings.into())
}
