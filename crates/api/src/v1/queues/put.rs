//! PUT `/v1/queues/{queue}`: what its gate is to let through. A queue that had no task yet is made.

use tasklane_core::gate::{Bounds, GateName};
use tasklane_wire::gate;
use tasklane_wire::json::{Kind, Value, validate};
use tasklane_wire::name::is_queue;
use tasklane_wire::read::{self, Findings, Path};

use super::get::{answer, queue_not_found};
use crate::answer::Answer;
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn put(mut call: Call) -> Answer {
    call.no_query()?;
    if !is_queue(&call.name) {
        return Err(queue_not_found());
    }
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let limits = read(&received.bytes)?;
    let name = || GateName::Queue(call.name.as_str().into());
    let queue = call.engine().make_queue(&call.name).await?.ok_or_else(queue_not_found)?;
    match limits {
        Some(Some(bounds)) => drop(call.acting().set_gate(name(), bounds).await?),
        Some(None) => drop(call.acting().remove_gate(name()).await?),
        None => {}
    }
    answer(&call, &queue).await
}

/// What is said of the gate, if anything: `None` in it takes the gate away.
fn read(body: &[u8]) -> Result<Option<Option<Bounds>>, Refused> {
    let (mut limits, mut findings) = (None, Findings::default());
    read::object(Value::new(validate(body, 0)?), &Path::ROOT, &mut findings, |key, value, at, findings| match key {
        "limits" if value.kind() == Kind::Null => read::put(&mut limits, Some(None), at, findings),
        "limits" => read::put(&mut limits, Some(Some(gate::read(value, at, findings))), at, findings),
        _ => findings.unknown(at),
    });
    if findings.is_empty() { Ok(limits) } else { Err(findings.into()) }
}
