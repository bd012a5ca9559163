//! Metrics of the HTTP side. Labels are few and bounded: route templates, never ids; methods and statuses that exist.

use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::error::Code;

/// The label of requests that found no route.
const NO_ROUTE: &str = "none";

/// What is counted of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Seen {
    pub route: &'static str,
    pub method: &'static str,
    pub status: u16,
}

impl Seen {
    /// A request by this method that has found no route yet.
    pub fn new(method: &Method) -> Self {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        Self { route: NO_ROUTE, method, status: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    limit: &'static str,
}

/// Counts connections that were one too many: whoever listens turns them away before a request is read.
#[derive(Debug, Clone, Default)]
pub struct TurnedAway(Counter);

impl TurnedAway {
    /// One more.
    pub fn count(&self) {
        self.0.inc();
    }
}

/// The metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Seen, Counter>,
    seconds: Family<ByRoute, Histogram>,
    limits: Family<ByCode, Counter>,
}

impl Metrics {
    pub fn new(turned_away: &TurnedAway) -> Self {
        let mut registry = Registry::with_prefix("tasklane_http");
        let help = "Connections turned away, as there were as many as there may be";
        registry.register("connections_turned_away", help, turned_away.0.clone());
        let requests = Family::<Seen, Counter>::default();
        let seconds = Family::<ByRoute, Histogram>::new_with_constructor(|| {
            // From a quarter of a millisecond to beyond the longest wait of a minute.
            Histogram::new(exponential_buckets(0.000_25, 4.0, 10))
        });
        let limits = Family::<ByCode, Counter>::default();
        registry.register("requests", "Requests answered", requests.clone());
        let help = "Time to the head of the answer, waiting for work or a result included";
        registry.register_with_unit("request_duration", help, Unit::Seconds, seconds.clone());
        registry.register("limits", "Requests refused by a limit", limits.clone());
        Self { registry, requests, seconds, limits }
    }

    /// A request was answered.
    pub fn answered(&self, seen: Seen, took: Duration) {
        self.seconds.get_or_create(&ByRoute { route: seen.route }).observe(took.as_secs_f64());
        self.requests.get_or_create(&seen).inc();
    }

    /// A request was refused.
    pub fn refused(&self, code: Code) {
        if matches!(code.status, 408 | 413 | 429 | 503 | 507) {
            self.limits.get_or_create(&ByCode { limit: code.code }).inc();
        }
    }

    /// The engine's metrics and these, as one OpenMetrics text.
    pub fn render(&self, engine: &str) -> String {
        let engine = engine.trim_end();
        let mut text = engine.strip_suffix("# EOF").unwrap_or(engine).to_owned();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }
}
