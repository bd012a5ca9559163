//! The sink of webhooks: a delivery is posted, signed by Standard Webhooks 1.0, and the answer's status says whether it arrived.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | succeeded, whatever the body |
//! | 410 | failed for good; the endpoint is disabled |
//! | anything else, a redirect too, no connection, no answer in time | failed, tried again by the timetable, not before `Retry-After` |

mod message;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::endpoints::Endpoints;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId};
use tasklane_core::webhook::outbox::Callback;
use tasklane_core::webhook::{ENDPOINT_LABEL, TYPE};
use tasklane_outbound::{Excess, Outbound, Request};
use uuid::Uuid;

/// How long an endpoint may take to answer, unless a setting says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer's body that are kept, for people.
const EXCERPT_BYTES: usize = 2 << 10;
/// When a delivery that met a disabled endpoint looks again; its gate holds back the others.
const DISABLED: Duration = Duration::from_secs(60);

/// Sends deliveries.
pub struct Webhooks {
    endpoints: Arc<dyn Endpoints>,
    outbound: Outbound,
    timeout: Duration,
}

/// Where a delivery goes.
enum Target {
    Endpoint(EndpointId, Arc<Endpoint>),
    Callback(Arc<Callback>),
}

impl Webhooks {
    /// A sink to these endpoints, each of which may take `timeout` to answer.
    pub fn new(endpoints: Arc<dyn Endpoints>, outbound: Outbound, timeout: Duration) -> Self {
        Self { endpoints, outbound, timeout }
    }

    fn target(&self, task: &Leased) -> Result<Target, Outcome> {
        let spec = &task.facts.spec;
        if let Some(callback) = &spec.callback {
            return Ok(Target::Callback(Arc::clone(callback)));
        }
        let label = spec.labels.get(ENDPOINT_LABEL).and_then(|it| Uuid::try_parse(it).ok()).map(EndpointId);
        let found = label.and_then(|id| Some(Target::Endpoint(id, self.endpoints.endpoint(id)?)));
        match found.ok_or_else(|| Outcome::failed(FailureKind::Permanent, "the webhook was removed"))? {
            Target::Endpoint(_, endpoint) if endpoint.disabled.is_some() => Err(Outcome::Snoozed(DISABLED)),
            target => Ok(target),
        }
    }

    fn request(&self, task: &Leased, target: &Target) -> Request {
        let now = self.endpoints.now();
        let (url, headers) = match target {
            Target::Endpoint(_, endpoint) => (&endpoint.order.url, message::to_endpoint(task, endpoint, now)),
            Target::Callback(callback) => (&callback.url, message::to_callback(task, callback, now)),
        };
        Request {
            method: Method::POST,
            url: url.to_string(),
            headers,
            body: task.payload.clone(),
            timeout: self.timeout,
            most: EXCERPT_BYTES,
            excess: Excess::Cut,
        }
    }
}

impl Executor for Webhooks {
    fn types(&self) -> Vec<Box<str>> {
        vec![TYPE.into()]
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let target = match self.target(&task) {
            Ok(target) => target,
            Err(outcome) => return Box::pin(std::future::ready(outcome)),
        };
        let (request, outbound, endpoints) =
            (self.request(&task, &target), self.outbound.clone(), Arc::clone(&self.endpoints));
        Box::pin(async move {
            let answer = tokio::select! {
                answer = outbound.send(request) => answer,
                () = context.cancelled() => return Outcome::Cancelled,
            };
            let (heard, outcome) = verdict::of(answer, &task.facts);
            if let Target::Endpoint(id, _) = target {
                endpoints.heard(id, heard).await;
            }
            outcome
        })
    }
}
