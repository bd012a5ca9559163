//! Types bound to URLs: the task is posted there, and the answer is its result.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | succeeded; the body as JSON, text as a string, nothing as `null` |
//! | 408, 429, 5xx, no connection, no answer in time | failed, tried again, not before `Retry-After` |
//! | any other status, a body that is neither JSON nor text, or too large | failed for good |

mod message;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use tasklane_core::lease::Leased;
use tasklane_core::limit;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_outbound::{Error, Excess, Outbound, Request};

/// How long a call may take unless the target or the task says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Where tasks of a type go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL they are posted to.
    pub url: String,
    /// Headers of every call, such as `Authorization`.
    pub headers: HeaderMap,
    /// How long a call may take; the task's own `attempt_timeout` may end it sooner.
    pub timeout: Duration,
}

/// Posts tasks to the URLs their types are bound to.
#[derive(Debug)]
pub struct HttpTargets {
    targets: BTreeMap<Box<str>, Target>,
    outbound: Outbound,
}

impl HttpTargets {
    /// Targets by type.
    ///
    /// # Errors
    /// A target that may not be called, with its type.
    pub fn new(targets: BTreeMap<Box<str>, Target>, outbound: Outbound) -> Result<Self, (Box<str>, Error)> {
        for (name, target) in &targets {
            outbound.check(&target.url).map_err(|error| (name.clone(), error))?;
        }
        Ok(Self { targets, outbound })
    }
}

impl Executor for HttpTargets {
    fn types(&self) -> Vec<Box<str>> {
        self.targets.keys().cloned().collect()
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let Some(target) = self.targets.get(&task.facts.lane.task_type) else {
            let wrong = format!("no URL is bound to type {:?}", task.facts.lane.task_type);
            let outcome = Outcome::failed(tasklane_core::outcome::FailureKind::Permanent, wrong);
            return Box::pin(std::future::ready(outcome));
        };
        let request = Request {
            method: Method::POST,
            url: target.url.clone(),
            headers: message::headers(&task, &target.headers),
            body: message::body(&task),
            timeout: target.timeout,
            most: limit::PAYLOAD_BYTES,
            excess: Excess::Refused,
        };
        let outbound = self.outbound.clone();
        Box::pin(async move {
            tokio::select! {
                answer = outbound.send(request) => answer.map_or_else(verdict::of_error, verdict::of_answer),
                () = context.cancelled() => Outcome::Cancelled,
            }
        })
    }
}
