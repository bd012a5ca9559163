//! POST `/v1/leases`: work for a worker.

use tasklane_core::lease::{Home, LaneFilter};
use tasklane_engine::{LeaseCall, Wish};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::lease::{LeaseReply, LeaseRequest, Want};
use tasklane_wire::read::Findings;

use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::{FORBIDDEN, Refused};
use crate::limits;
use crate::unwritten::Unwritten;

pub(crate) async fn lease(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::LEASE_BODY).await?;
    let mut findings = Findings::default();
    let request = LeaseRequest::read(Value::new(validate(&received.bytes, 0)?), &mut findings);
    let Some(request) = request.filter(|_| findings.is_empty()) else { return Err(findings.into()) };
    drop(received);
    let asked = LeaseCall { worker: request.worker, wish: wish(request.want, &call)? };
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

/// The engine's word for what a worker wants, of the lanes that his key has.
pub(super) fn wish(want: Want, call: &Call) -> Result<Wish, Refused> {
    let Want { lanes, limit, length, wait, request } = want;
    let grant = call.caller.grant();
    // What another key got under this name is not repeated for this one.
    let request = request.map(|it| call.caller.of_key().map_or(it.clone(), |key| format!("{key} {it}").into()));
    let lanes = if grant.lanes.is_empty() { lanes } else { grant.lanes_of(&lanes).map_err(not_of_the_key)?.into() };
    Ok(Wish { lanes, limit, length, wait, request, home: Home::Apart })
}

fn not_of_the_key(lane: &LaneFilter) -> Refused {
    let queue = lane.queue.as_deref().unwrap_or("*");
    let detail =
        format!("the key that was sent works on none of the wanted lanes of queue {queue:?}; its lanes: GET /v1/keys");
    Refused::new(FORBIDDEN, detail)
}
