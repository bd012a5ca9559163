//! A typed async function as an executor: the payload is parsed once, here, and the result written once.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};

use super::context::TaskContext;
use super::error::HandlerError;

/// A typed async function for one type.
pub(crate) struct Handler<F, I> {
    task_type: Box<str>,
    handle: Arc<F>,
    input: PhantomData<fn(I)>,
}

impl<F, I> Handler<F, I> {
    pub(crate) fn new(task_type: &str, handle: F) -> Self {
        Self { task_type: task_type.into(), handle: Arc::new(handle), input: PhantomData }
    }
}

impl<F, I, O, R> Executor for Handler<F, I>
where
    F: Fn(TaskContext, I) -> R + Send + Sync + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize,
    R: Future<Output = Result<O, HandlerError>> + Send + 'static,
{
    fn types(&self) -> Vec<Box<str>> {
        vec![self.task_type.clone()]
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let handle = Arc::clone(&self.handle);
        Box::pin(async move {
            let input = match serde_json::from_slice(&task.payload) {
                Ok(input) => input,
                Err(error) => return unfit(&error),
            };
            match handle(TaskContext { task, context }, input).await {
                Ok(output) => succeeded(&output),
                Err(HandlerError(outcome)) => outcome,
            }
        })
    }
}

fn unfit(error: &serde_json::Error) -> Outcome {
    Outcome::failed(FailureKind::Permanent, format!("the payload is not what the handler takes: {error}"))
}

fn succeeded(output: &impl Serialize) -> Outcome {
    match serde_json::to_vec(output) {
        Ok(json) => Outcome::Succeeded(Bytes::from(json)),
        Err(error) => Outcome::failed(FailureKind::Permanent, format!("the result cannot be written as JSON: {error}")),
    }
}
