//! POST `/v1/tasks:batch`: many tasks, all or nothing, or each alone.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use tasklane_core::accept::{Accepted, NewTask as Accepting, Submission};
use tasklane_core::limit;
use tasklane_engine::{Engine, SubmitError};
use tasklane_wire::json::{Array, JsonError, Object, Value, validate, validate_lines};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::task::{Lanes, NewTask, write, write_accepted};

use super::trace::{trace, traceparent};
use crate::answer::{self, Answer};
use crate::body::{Accepts, Form, Received};
use crate::call::{Call, Owner};
use crate::error::{Refused, TOO_MANY_TASKS, internal};
use crate::limits;

/// How much of each task is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Short,
    Full,
}

/// What becomes of the others when one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Together {
    AllOrNothing,
    EachAlone,
}

/// An item that is to be accepted, or why it is not.
type Item = Result<Accepting, Refused>;
/// What became of an item.
type Done = Result<Accepted, Refused>;

pub(crate) async fn batch(mut call: Call) -> Answer {
    let mut query = call.query();
    let together = query.read("atomic", "true or false", |it| match it {
        "true" => Some(Together::AllOrNothing),
        "false" => Some(Together::EachAlone),
        _ => None,
    });
    let echo = query.read("echo", "full or short", |it| match it {
        "full" => Some(Echo::Full),
        "short" => Some(Echo::Short),
        _ => None,
    });
    if call.headers.contains_key("idempotency-key") {
        query.findings().push(
            "header:idempotency-key".to_owned(),
            "is for one task; give each task of a batch an idempotency_key of its own",
        );
    }
    query.finish()?;
    let received = call.receive(Accepts::JsonOrLines, limits::BATCH_BODY).await?;
    let (engine, owner) = (call.engine().clone(), call.owner());
    let reading = Reading { engine, owner, traceparent: traceparent(&call.headers), received };
    match together.unwrap_or(Together::AllOrNothing) {
        Together::AllOrNothing => all_or_nothing(&call, reading, echo.unwrap_or(Echo::Short)).await,
        Together::EachAlone => each_alone(&call, reading, echo.unwrap_or(Echo::Short)).await,
    }
}

async fn all_or_nothing(call: &Call, reading: Reading, echo: Echo) -> Answer {
    let tasks = reading.run(Reading::all).await?;
    let accepted = call.engine().submit(Submission { tasks }).await.map_err(|error| match error {
        SubmitError::Refused(refused) => {
            let index = refused.index;
            Refused::from(refused).of_item(index)
        }
        SubmitError::Store(error) => error.into(),
    })?;
    let done = accepted.into_iter().map(Ok).collect();
    written(call, StatusCode::CREATED, done, echo).await
}

async fn each_alone(call: &Call, reading: Reading, echo: Echo) -> Answer {
    let items = reading.run(Reading::each).await?;
    let mut refused = Vec::with_capacity(items.len());
    let mut submissions = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Ok(task) => {
                submissions.push(Submission { tasks: vec![task] });
                refused.push(None);
            }
            Err(error) => refused.push(Some(error)),
        }
    }
    let mut answers = call.engine().submit_each(submissions).await?.into_iter();
    let mut next = || match answers.next() {
        Some(Ok(accepted)) => accepted.into_iter().next().ok_or_else(internal),
        Some(Err(error)) => Err(error.into()),
        None => Err(internal()),
    };
    let done = refused.into_iter().map(|it| it.map_or_else(&mut next, Err)).collect();
    written(call, StatusCode::OK, done, echo).await
}

/// `{tasks:[...]}` in the order of the request.
async fn written(call: &Call, status: StatusCode, done: Vec<Done>, echo: Echo) -> Result<Response, Refused> {
    let mut whole = match echo {
        Echo::Short => Vec::new(),
        Echo::Full => {
            let ids = done.iter().filter_map(|it| it.as_ref().ok().map(|it| it.id)).collect();
            call.engine().tasks(ids).await?
        }
    }
    .into_iter();
    let mut out = Vec::with_capacity(done.len() * 72 + 16);
    let mut object = Object::begin(&mut out);
    let mut array = Array::begin(object.key("tasks"));
    for item in done {
        let out = array.item();
        match item {
            Err(refused) => write_error(out, refused),
            Ok(accepted) => match whole.next().flatten() {
                Some(task) => write(out, &task),
                None => write_accepted(out, &accepted),
            },
        }
    }
    array.end();
    object.end();
    Ok(answer::json(status, out))
}

fn write_error(out: &mut Vec<u8>, refused: Refused) {
    let problem = serde_json::to_vec(&refused.into_problem()).unwrap_or_else(|_| b"null".to_vec());
    let mut object = Object::begin(out);
    object.raw("error", &problem);
    object.end();
}

/// A batch being read.
struct Reading {
    engine: Engine,
    owner: Owner,
    traceparent: Option<Box<str>>,
    received: Received,
}

impl Reading {
    /// Reads here, or, where that would hold up others, on a thread of its own.
    async fn run<T: Send + 'static>(self, read: fn(&Self) -> Result<T, Refused>) -> Result<T, Refused> {
        if self.received.bytes.len() <= limits::LARGE_BODY {
            return read(&self);
        }
        let reading = Arc::new(self);
        let there = Arc::clone(&reading);
        tokio::task::spawn_blocking(move || read(&there)).await.unwrap_or_else(|_| Err(internal()))
    }

    /// Every task, or everything that is wrong with any.
    fn all(&self) -> Result<Vec<Accepting>, Refused> {
        let (mut lanes, mut findings, mut tasks) = (Lanes::default(), Findings::default(), Vec::new());
        self.items(|index, value| {
            let task = NewTask::read(value, &Path::ROOT.index(index), &mut findings);
            if findings.is_empty() {
                tasks.push(self.core(task, &mut lanes));
            }
        })?;
        if !findings.is_empty() {
            return Err(findings.into());
        }
        tasks.into_iter().enumerate().map(|(index, task)| task.map_err(|it| it.of_item(index))).collect()
    }

    /// Every task, or what is wrong with that one.
    fn each(&self) -> Result<Vec<Item>, Refused> {
        let (mut lanes, mut items) = (Lanes::default(), Vec::new());
        self.items(|index, value| {
            let mut findings = Findings::default();
            let task = NewTask::read(value, &Path::ROOT.index(index), &mut findings);
            let fine = findings.is_empty();
            items.push(if fine { self.core(task, &mut lanes) } else { Err(findings.into()) });
        })?;
        Ok(items)
    }

    fn core(&self, task: NewTask<'_>, lanes: &mut Lanes) -> Item {
        let mut task = task.into_core(self.bytes(), lanes, || self.engine.draw_id());
        self.owner.own(&mut task)?;
        trace(&mut task, self.traceparent.as_deref());
        Ok(task)
    }

    fn bytes(&self) -> &Bytes {
        &self.received.bytes
    }

    /// Calls `item` for each value of the array or line of the text.
    fn items<'a>(&'a self, mut item: impl FnMut(usize, Value<'a>)) -> Result<(), Refused> {
        let mut count = 0;
        let mut next = |value: Result<&'a str, JsonError>| {
            count += 1;
            if count > limit::SUBMISSION_TASKS {
                return Err(too_many());
            }
            item(count - 1, Value::new(value?));
            Ok(())
        };
        match self.received.form {
            Form::Lines => validate_lines(self.bytes(), 1).try_for_each(next),
            Form::Json => {
                let value = Value::new(validate(self.bytes(), 2)?);
                let Some(mut items) = value.items() else {
                    let mut findings = Findings::default();
                    findings.wrong_type(&Path::ROOT, "an array of tasks", value);
                    return Err(findings.into());
                };
                items.try_for_each(|it| next(Ok(it.text())))
            }
        }
    }
}

fn too_many() -> Refused {
    let most = limit::SUBMISSION_TASKS;
    Refused::new(TOO_MANY_TASKS, format!("a batch may have at most {most} tasks; send them in several"))
}
