//! POST `/v1/reports`: what a worker has to say, and more work for it.

use tasklane_core::task::TaskId;
use tasklane_engine::{RefusedCheckpoint, ReportCall};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;
use tasklane_wire::report::{RefusedItem, Report, ReportReply};

use super::leases::wish;
use crate::answer::{self, Answer};
use crate::body::{Accepts, Received};
use crate::call::Call;
use crate::error::{Refused, internal};
use crate::limits;
use crate::unwritten::Unwritten;

/// Levels of a report above a result: the body, the list, the item.
const ENVELOPE: usize = 3;

pub(crate) async fn report(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::REPORT_BODY).await?;
    let Report { worker, renew, progress, logs, checkpoints, outcomes, want, unknown } = read(received).await?;
    let want = want.map(|it| wish(it, &call)).transpose()?;
    let asked = ReportCall { worker, renew, progress, logs, checkpoints, outcomes, want };
    let app = call.without_head();
    let reply = app.engine.report(asked).await?;
    let unwritten = Unwritten::new(&app.engine, &reply.tasks);
    let mut out = Vec::new();
    let refused = reply.refused.iter().map(refused_item).collect();
    let lost = joined(reply.lost, unknown);
    ReportReply { lost, cancel: reply.cancel, tasks: reply.tasks, refused }.write(&mut out);
    Ok(answer::ok(unwritten.body(out)))
}

/// Reads here, or, where that would hold up others, on a thread of its own.
async fn read(received: Received) -> Result<Report, Refused> {
    let large = received.bytes.len() > limits::LARGE_BODY;
    let read = move || {
        let mut findings = Findings::default();
        let value = Value::new(validate(&received.bytes, ENVELOPE)?);
        Report::read(value, &received.bytes, &mut findings).ok_or_else(|| Refused::from(findings))
    };
    if large { tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(internal())) } else { read() }
}

fn refused_item(refused: &RefusedCheckpoint) -> RefusedItem {
    let (list, code, detail) = ("checkpoints".into(), refused.code().into(), refused.reason().into());
    RefusedItem { id: refused.id, list, name: refused.name.clone(), code, detail }
}

/// Both, each task once.
fn joined(mut lost: Vec<TaskId>, unknown: Vec<TaskId>) -> Vec<TaskId> {
    if !unknown.is_empty() {
        lost.extend(unknown);
        lost.sort_unstable();
        lost.dedup();
    }
    lost
}
