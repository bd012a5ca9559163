//! POST `/v1/leases`: work for a worker.

use tasklane_core::lease::Home;
use tasklane_engine::{LeaseCall, Wish};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::lease::{LeaseReply, LeaseRequest, Want};
use tasklane_wire::read::Findings;

use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::limits;
use crate::unwritten::Unwritten;

pub(crate) async fn lease(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::LEASE_BODY).await?;
    let mut findings = Findings::default();
    let request = LeaseRequest::read(Value::new(validate(&received.bytes, 0)?), &mut findings);
    let Some(request) = request.filter(|_| findings.is_empty()) else { return Err(findings.into()) };
    drop(received);
    let asked = LeaseCall { worker: request.worker, wish: wish(request.want) };
    let app = call.without_head();
    let reply = app.engine.lease(asked).await?;
    if reply.tasks.is_empty() && reply.cancel.is_empty() {
        return Ok(answer::nothing());
    }
    let unwritten = Unwritten::new(&app.engine, &reply.tasks);
    let mut out = Vec::new();
    LeaseReply { tasks: reply.tasks, cancel: reply.cancel }.write(&mut out);
    Ok(answer::ok(unwritten.body(out)))
}

/// The engine's word for what a worker wants.
pub(super) fn wish(want: Want) -> Wish {
    let Want { lanes, limit, length, wait, request } = want;
    Wish { lanes, limit, length, wait, request, home: Home::Apart }
}
