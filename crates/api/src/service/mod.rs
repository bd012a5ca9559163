//! What tells about the server itself.

mod error_page;
mod pages;

use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tasklane_core::limit;
use tasklane_core::time::Timestamp;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{NOT_READY, Refused};

pub(crate) use error_page::error_page;
pub(crate) use pages::{asset, docs, redoc};

const SERVICE: &str = "tasklane";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds after which a server that is not ready may be.
const SOON: u32 = 1;

/// The JSON of `/`, `/health` and `/ready`.
#[derive(Serialize)]
struct About {
    message: &'static str,
    service: &'static str,
    status: &'static str,
    version: &'static str,
    #[serde(with = "tasklane_wire::time::shape")]
    timestamp: Timestamp,
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<Clock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wal: Option<Wal>,
}

/// What somebody should look at about the machine's clock.
#[derive(Serialize)]
struct Clock {
    /// How far it was behind the last stamp in the store when the server started; the store's time went on from there.
    #[serde(with = "tasklane_wire::duration::shape")]
    behind: Duration,
}

/// What somebody should look at about the store's write-ahead log: it is longer than [`limit::WAL_BYTES`].
#[derive(Serialize)]
struct Wal {
    bytes: u64,
}

fn about(call: &Call, status: &'static str, clock: Option<Clock>, wal: Option<Wal>) -> Answer {
    call.no_query()?;
    let database = call.app.options.database;
    let message = "Tasklane runs tasks: submit to /v1/tasks, work from /v1/leases";
    let timestamp = call.engine().now();
    answer::shape(&About { message, service: SERVICE, status, version: VERSION, timestamp, database, clock, wal })
}

/// GET `/`
pub(crate) async fn root(call: Call) -> Answer {
    about(&call, "running", None, None)
}

/// GET `/health`: the process answers.
pub(crate) async fn health(call: Call) -> Answer {
    about(&call, "healthy", None, None)
}

/// GET `/ready`: it takes work.
pub(crate) async fn ready(call: Call) -> Answer {
    match call.engine().ready().await {
        Ok(stats) => {
            let behind = Some(stats.clock_behind).filter(|it| *it > limit::CLOCK_SKEW);
            let wal = Some(stats.wal_bytes).filter(|it| *it > limit::WAL_BYTES).map(|bytes| Wal { bytes });
            about(&call, "ready", behind.map(|behind| Clock { behind }), wal)
        }
        Err(why) => Err(Refused::new(NOT_READY, why).retry_after(SOON)),
    }
}

/// GET `/metrics`
pub(crate) async fn metrics(call: Call) -> Answer {
    call.no_query()?;
    let text = call.app.metrics.render(&call.engine().metrics().await);
    let mut response = answer::ok(text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    Ok(response)
}
