//! Submits that travel together: while a request is in flight the next one gathers, so many callers share a round trip
//! and the server's sync, without any timer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tasklane_core::limit;
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_wire::task::{AcceptedShape, BatchShape};
use tokio::sync::oneshot;

use crate::client::Client;
use crate::error::Error;
use crate::new_task::NewTask;
use crate::transport::{Call, Transport};

/// Requests in flight at once.
const FLIGHTS: usize = 3;
/// A further request does not fly for fewer tasks than are in the air already, so that few large ones travel and each of
/// the server's syncs serves many; unless so few are in the air that there is nothing to gather.
const FEW_IN_THE_AIR: usize = 8;
/// Most tasks of one request.
const FLIGHT_TASKS: usize = 1000;
/// Most bytes of one request; a single larger task still goes, alone.
const FLIGHT_BYTES: usize = 8 << 20;
/// Most bytes that may wait to be sent; callers beyond it are told so.
const WAITING_BYTES: usize = 256 << 20;

/// A task as it stood when its submit was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Which task: a new one, or the one that was there already.
    pub id: TaskId,
    /// Where it stands.
    pub state: State,
}

type Answered = Result<Submitted, Error>;

/// One caller's task, on its way.
struct Waiting {
    json: Vec<u8>,
    caller: oneshot::Sender<Answered>,
}

/// Gathers the submits of all callers.
#[derive(Debug)]
pub(crate) struct Submitter {
    transport: Arc<Transport>,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    flights: usize,
    /// Tasks the flights carry.
    in_the_air: usize,
}

impl Gathered {
    /// Whether another request is worth its way, beside those that fly.
    fn is_worth_a_flight(&self) -> bool {
        self.in_the_air < FEW_IN_THE_AIR || self.waiting.len() > self.in_the_air
    }
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathered").field("waiting", &self.waiting.len()).field("flights", &self.flights).finish()
    }
}

impl Client {
    /// Submits a task: it is on the server's disk when this answers. Calls made while others are in flight share a
    /// request with them; each stands alone. A caller that stops waiting does not stop its task.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] if the answer did not come back, so that the task may have been accepted; any other
    /// error says that it was not.
    pub async fn submit(&self, task: NewTask) -> Result<Submitted, Error> {
        let mut json = Vec::with_capacity(256);
        task.write(&mut json)?;
        let answer = self.submitter.enqueue(json)?;
        answer
            .await
            .unwrap_or_else(|_| Err(Error::OutcomeUnknown { cause: "the runtime that sent it has ended".into() }))
    }

    /// Submits tasks together: all are accepted, or none is. At most 10 000 and 32 MiB.
    ///
    /// # Errors
    /// As [`Client::submit`], for all of them.
    pub async fn submit_batch(&self, tasks: Vec<NewTask>) -> Result<Vec<Submitted>, Error> {
        if tasks.len() > limit::SUBMISSION_TASKS {
            return Err(Error::Invalid(format!("a batch has at most {} tasks", limit::SUBMISSION_TASKS)));
        }
        let count = tasks.len();
        let mut body = Vec::with_capacity(256 * count);
        for task in tasks {
            body.push(if body.is_empty() { b'[' } else { b',' });
            task.write(&mut body)?;
        }
        if body.is_empty() {
            return Ok(Vec::new());
        }
        body.push(b']');
        let answer = self.transport.send(Call::post("/v1/tasks:batch", body)).await?;
        read_answers(&answer.json::<BatchShape>()?.tasks, count)?.into_iter().collect()
    }
}

impl Submitter {
    pub(crate) fn new(transport: Arc<Transport>) -> Arc<Self> {
        Arc::new(Self { transport, gathered: Mutex::default() })
    }

    /// Adds a task to the next request, and sends that if there is room in the air.
    fn enqueue(self: &Arc<Self>, json: Vec<u8>) -> Result<oneshot::Receiver<Answered>, Error> {
        let (caller, answer) = oneshot::channel();
        let mut gathered = self.gathered();
        if gathered.bytes + json.len() > WAITING_BYTES && gathered.bytes > 0 {
            return Err(Error::Invalid(format!("more than {WAITING_BYTES} bytes of submits wait to be sent")));
        }
        gathered.bytes += json.len();
        gathered.waiting.push_back(Waiting { json, caller });
        if gathered.flights < FLIGHTS && gathered.is_worth_a_flight() {
            gathered.flights += 1;
            drop(gathered);
            tokio::spawn(fly(Flight { submitter: Arc::clone(self), carries: 0, is_over: false }));
        }
        Ok(answer)
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the flights that may be under way; dropped before its end, as with the runtime it runs on, it makes room for
/// another.
struct Flight {
    submitter: Arc<Submitter>,
    /// Tasks it has in the air.
    carries: usize,
    is_over: bool,
}

impl Flight {
    /// What the next request carries, the one before having landed; none ends the flight.
    fn board(&mut self) -> Vec<Waiting> {
        let mut gathered = self.submitter.gathered();
        gathered.in_the_air -= std::mem::take(&mut self.carries);
        let (mut boarded, mut bytes) = (Vec::new(), 0);
        let most = if gathered.is_worth_a_flight() { FLIGHT_TASKS } else { 0 };
        while boarded.len() < most
            && let Some(next) = gathered.waiting.pop_front()
        {
            if bytes + next.json.len() > FLIGHT_BYTES && !boarded.is_empty() {
                gathered.waiting.push_front(next);
                break;
            }
            bytes += next.json.len();
            boarded.push(next);
        }
        self.carries = boarded.len();
        self.is_over = boarded.is_empty();
        gathered.bytes -= bytes;
        gathered.in_the_air += boarded.len();
        gathered.flights -= usize::from(boarded.is_empty());
        boarded
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut gathered = self.submitter.gathered();
        gathered.in_the_air -= self.carries;
        gathered.flights -= 1;
        if gathered.flights == 0 {
            // Nobody is left to carry these, and here there may be no runtime to send another: their callers are told.
            gathered.bytes = 0;
            let left = std::mem::take(&mut gathered.waiting);
            drop(gathered);
            drop(left);
        }
    }
}

/// Sends what has gathered until nothing has.
async fn fly(mut flight: Flight) {
    loop {
        // Callers that are ready to submit, too, get aboard.
        tokio::task::yield_now().await;
        let boarded = flight.board();
        if boarded.is_empty() {
            return;
        }
        deliver(&flight.submitter.transport, boarded).await;
    }
}

/// Sends and answers to each caller. A request that is refused as a whole for what one of its tasks may be is halved
/// until the others have passed.
async fn deliver(transport: &Transport, boarded: Vec<Waiting>) {
    let mut rest = vec![boarded];
    while let Some(mut part) = rest.pop() {
        match send(transport, &part).await {
            Err(error) if part.len() > 1 && may_be_of_one(&error) => {
                rest.push(part.split_off(part.len() / 2));
                rest.push(part);
            }
            Err(error) => part.into_iter().for_each(|it| drop(it.caller.send(Err(error.clone())))),
            Ok(answers) => part.into_iter().zip(answers).for_each(|(it, answer)| drop(it.caller.send(answer))),
        }
    }
}

async fn send(transport: &Transport, part: &[Waiting]) -> Result<Vec<Answered>, Error> {
    let mut body = Vec::with_capacity(part.iter().map(|it| it.json.len() + 1).sum::<usize>() + 1);
    for it in part {
        body.push(if body.is_empty() { b'[' } else { b',' });
        body.extend_from_slice(&it.json);
    }
    body.push(b']');
    let answer = transport.send(Call::post("/v1/tasks:batch?atomic=false", body)).await?;
    let unread = |error| match error {
        Error::Answer(cause) => Error::OutcomeUnknown { cause },
        other => other,
    };
    read_answers(&answer.json::<BatchShape>().map_err(unread)?.tasks, part.len()).map_err(unread)
}

/// Whether a whole request may have been refused for one of its tasks.
fn may_be_of_one(error: &Error) -> bool {
    let of_one = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
    matches!(error, Error::Refused { problem, .. } if of_one.iter().any(|it| it.as_u16() == problem.status))
}

fn read_answers(shapes: &[AcceptedShape], count: usize) -> Result<Vec<Answered>, Error> {
    if shapes.len() != count {
        return Err(Error::Answer(format!("{} answers to {count} tasks", shapes.len())));
    }
    Ok(shapes.iter().map(read_answer).collect())
}

fn read_answer(shape: &AcceptedShape) -> Answered {
    match (shape.id, shape.state, &shape.error) {
        (Some(id), Some(state), None) => Ok(Submitted { id, state }),
        (_, _, Some(problem)) => Err(Error::Refused { problem: Arc::new((**problem).clone()), retry_after: None }),
        _ => Err(Error::Answer("an answer to a task has neither id and state nor an error".into())),
    }
}
