//! Leases over HTTP: the runner's port, spoken as `POST /v1/leases` and `POST /v1/reports`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tasklane_core::lease::LaneFilter;
use tasklane_core::ports::BoxFuture;
use tasklane_runner::{LeaseSource, Reply, Report, SourceError, Want};
use tasklane_wire::json::{self, Value};
use tasklane_wire::lease::{self, LeaseRequest};
use tasklane_wire::read::Findings;
use tasklane_wire::report::{self, RefusedItem};

use super::servers::Servers;
use crate::error::Error;
use crate::transport::{Answer, Call};

/// Levels of an answer that hold payloads and are none.
const ENVELOPE: usize = 3;

/// A renewal is answered within this part of a lease, or it is tried again.
const RENEWAL_PART: u32 = 5;
/// How long an answer may take beyond the wait that was asked for.
const AFTER_WAIT: Duration = Duration::from_secs(3);
/// The least time an answer is waited for.
const SHORTEST: Duration = Duration::from_millis(500);

/// Takes leases from one of some servers.
pub(super) struct HttpSource {
    servers: Servers,
    worker: Arc<str>,
    lanes: Arc<[LaneFilter]>,
    lease: Duration,
    /// Names of wishes whose answer was never heard: the next wish of the name gets the tasks that were handed out then.
    unheard: Mutex<Vec<Box<str>>>,
    wishes: AtomicU64,
    /// Two processes that were given one label must not get each other's tasks.
    random: u64,
}

impl HttpSource {
    pub(super) fn new(servers: Servers, worker: &str, lanes: Vec<LaneFilter>, lease: Duration) -> Self {
        let (worker, lanes) = (Arc::from(worker), Arc::from(lanes));
        let random = RandomState::new().hash_one(0);
        Self { servers, worker, lanes, lease, unheard: Mutex::default(), wishes: AtomicU64::new(0), random }
    }

    async fn say(&self, report: Report) -> Result<Reply, SourceError> {
        let wish = report.want.map(|want| Wish::named(self, want));
        let wait = report.want.map_or(Duration::ZERO, |want| want.wait);
        let only_wants = report.says_nothing();
        let renews = !report.renew.is_empty();
        let (path, body) = match (&wish, only_wants) {
            (Some(wish), true) => ("/v1/leases", self.lease_request(wish)),
            _ => ("/v1/reports", self.report(report, wish.as_ref())),
        };
        let call = Call::post(path, body).waiting(wait);
        // Where a lease depends on it, there must be time to ask another server; and a server that waited with its answer as
        // long as it was to, and says nothing, may be gone without a word.
        let call = match (renews, wait.is_zero()) {
            (true, _) => call.within((self.lease / RENEWAL_PART).max(SHORTEST)),
            (false, false) => call.within(AFTER_WAIT),
            (false, true) => call,
        };
        let answer = self.servers.send(call).await.map_err(source_error)?;
        let reply = self.read(path, &answer)?;
        if let Some(wish) = wish {
            wish.heard();
        }
        Ok(reply)
    }

    fn lease_request(&self, wish: &Wish<'_>) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        LeaseRequest { worker: Arc::clone(&self.worker), want: self.want(wish) }.write(&mut body);
        body
    }

    fn report(&self, report: Report, wish: Option<&Wish<'_>>) -> Vec<u8> {
        let mut body = Vec::with_capacity(256 + 160 * report.outcomes.len());
        let Report { renew, progress, logs, checkpoints, outcomes, want: _ } = report;
        let worker = Arc::clone(&self.worker);
        let want = wish.map(|wish| self.want(wish));
        let unknown = Vec::new();
        report::Report { worker, renew, progress, logs, checkpoints, outcomes, want, unknown }.write(&mut body);
        body
    }

    fn want(&self, wish: &Wish<'_>) -> lease::Want {
        let Want { limit, wait } = wish.want;
        let request = wish.name.clone();
        lease::Want { lanes: Arc::clone(&self.lanes), limit, length: self.lease, wait, request }
    }

    /// Payloads stay slices of the answer's body.
    fn read(&self, path: &str, answer: &Answer) -> Result<Reply, SourceError> {
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Reply::default());
        }
        let body: &Bytes = &answer.body;
        let text = json::validate(body, ENVELOPE).map_err(|error| SourceError::Away(format!("bad answer: {error}")))?;
        let mut findings = Findings::default();
        let reply = if path == "/v1/leases" {
            let reply = lease::LeaseReply::read(Value::new(text), body, self.lease, &mut findings);
            Reply { cancel: reply.cancel, tasks: reply.tasks, ..Reply::default() }
        } else {
            let reply = report::ReportReply::read(Value::new(text), body, self.lease, &mut findings);
            let refused = reply.refused.into_iter().map(|it| (it.id, refusal(&it))).collect();
            Reply { lost: reply.lost, cancel: reply.cancel, tasks: reply.tasks, refused }
        };
        for error in findings.into_errors() {
            tracing::warn!(path = error.path, message = error.message, "part of the server's answer is not understood");
        }
        Ok(reply)
    }
}

impl LeaseSource for HttpSource {
    fn exchange(&self, report: Report) -> BoxFuture<'_, Result<Reply, SourceError>> {
        Box::pin(self.say(report))
    }
}

fn refusal(item: &RefusedItem) -> String {
    format!("checkpoint {:?} was not kept: {}", item.name, item.detail)
}

/// A wish for work under a name. Unless its answer is heard, its name is used again. One for nothing needs none.
struct Wish<'s> {
    source: &'s HttpSource,
    want: Want,
    name: Option<Box<str>>,
}

impl<'s> Wish<'s> {
    fn named(source: &'s HttpSource, want: Want) -> Self {
        if want.limit == 0 {
            return Self { source, want, name: None };
        }
        let unheard = source.unheard.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let fresh = || format!("{:x}-{}", source.random, source.wishes.fetch_add(1, Ordering::Relaxed)).into();
        Self { source, want, name: Some(unheard.unwrap_or_else(fresh)) }
    }

    fn heard(mut self) {
        self.name = None;
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.source.unheard.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
    }
}

/// Whether trying again may help: a key can be mended, a report of the wrong shape cannot.
fn source_error(error: Error) -> SourceError {
    match &error {
        Error::Refused { problem, .. } if matches!(problem.status, 400 | 413 | 415 | 422) => {
            SourceError::Refused(error.to_string())
        }
        _ => SourceError::Away(error.to_string()),
    }
}
