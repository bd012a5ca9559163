//! POST `/v1/tasks`: one task.

use std::time::Duration;

use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tasklane_core::accept::{Accepted, NewTask as Accepting};
use tasklane_core::task::Task;
use tasklane_engine::Submitted;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::task::{Lanes, NewTask, write_accepted};

use super::trace::{trace, traceparent};
use super::wait::wait;
use crate::answer::{self, Answer};
use crate::body::{Accepts, Received};
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn submit(mut call: Call) -> Answer {
    let mut query = call.query();
    let wait = wait(&mut query, &call.headers);
    query.finish()?;
    let received = call.receive(Accepts::Json, limits::TASK_BODY).await?;
    let task = read(&call, &received)?;
    submitted(&call, task, wait).await
}

/// Submits one task and answers with it when it is final or `wait` is over.
pub(super) async fn submitted(call: &Call, task: Accepting, wait: Duration) -> Answer {
    let submitted = call.engine().submit_one(task).await?;
    answered(call, submitted, wait).await
}

/// Answers with a submitted task when it is final or `wait` is over.
pub(super) async fn answered(call: &Call, submitted: Submitted, wait: Duration) -> Answer {
    let Submitted { accepted, task } = submitted;
    let task = match task.filter(|_| wait.is_zero()) {
        Some(task) => Some(task),
        None => call.engine().wait(accepted.id, wait).await?,
    };
    Ok(answer(accepted, task.as_ref()))
}

fn read(call: &Call, received: &Received) -> Result<Accepting, Refused> {
    let text = validate(&received.bytes, 1)?;
    let mut findings = Findings::default();
    let mut task = NewTask::read(Value::new(text), &Path::ROOT, &mut findings);
    if let Some(key) = call.name_header("idempotency-key", &mut findings) {
        if task.idempotency_key.as_ref().is_some_and(|it| *it != key) {
            findings.invalid(&Path::ROOT.key("idempotency_key"), "must not differ from the header Idempotency-Key");
        }
        task.idempotency_key = Some(key.into());
    }
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let mut task = task.into_core(&received.bytes, &mut Lanes::default(), || call.engine().draw_id());
    call.own(&mut task)?;
    trace(&mut task, traceparent(&call.headers).as_deref());
    Ok(task)
}

fn answer(accepted: Accepted, task: Option<&Task>) -> Response {
    let body = task.map(answer::task_body).unwrap_or_else(|| {
        // A key is remembered for longer than a task need be kept.
        let mut out = Vec::new();
        write_accepted(&mut out, &accepted);
        out.into()
    });
    let status = if accepted.existing { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = answer::json(status, body);
    let location = HeaderValue::from_str(&format!("/v1/tasks/{}", accepted.id));
    response.headers_mut().insert(LOCATION, location.expect("an id is ASCII"));
    response
}
