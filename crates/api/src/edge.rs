//! What every request goes through, whatever its route: its id, the name it calls us by, its route, and on the way out
//! problems, headers and metrics. A panic below becomes a problem here.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderName, HeaderValue};
use tasklane_engine::Engine;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::auth::{self, Caller, Door, Peer};
use crate::call::Call;
use crate::cors::Grant;
use crate::error::{FORBIDDEN, Refused, internal, not_found};
use crate::host::{self, Hosts};
use crate::metrics::{Metrics, Seen};
use crate::request_id::{self, RequestIds};
use crate::route::{Group, Route};
use crate::router::Options;

/// What requests share.
pub(crate) struct App {
    pub engine: Engine,
    pub options: Options,
    pub metrics: Metrics,
    pub request_ids: RequestIds,
    pub door: Door,
    /// Memory for large bodies.
    pub bodies: Arc<Semaphore>,
}

/// Serves a request that arrived under the pattern of `group`, or under none.
pub(crate) async fn serve(app: Arc<App>, group: Option<Arc<Group>>, request: Request) -> Response {
    let began = Instant::now();
    let id = app.request_ids.of(request.headers());
    let mut seen = Seen::new(request.method());
    let dialect = group.as_ref().map_or(app.options.alone, |it| it.dialect());
    let grant = Grant::of(&app.options.cors_origins, dialect, request.headers());
    let preflight = group.as_ref().and_then(|group| grant.preflight(&request, group));
    let hosts = if app.door.is_closed(&app.engine) { Hosts::Any } else { app.options.hosts };
    let answer = match host::check(hosts, request.uri(), request.headers(), &grant) {
        Ok(()) if preflight.is_some() => preflight.ok_or_else(internal),
        Ok(()) => match find(group.as_deref(), request).await {
            Ok((route, found, request)) => {
                seen.route = route.path;
                handled(&app, route, found, request, &id).await
            }
            Err(refused) => Err(refused),
        },
        Err(refused) => Err(refused),
    };
    let mut response = answer.unwrap_or_else(|refused| {
        app.metrics.refused(refused.code);
        match dialect {
            None => refused.into_response(&id),
            Some(dialect) => dialect.refusal(refused),
        }
    });
    seen.status = response.status().as_u16();
    tracing::debug!(request = id, route = seen.route, method = seen.method, status = seen.status, "answered");
    app.metrics.answered(seen, began.elapsed());
    let headers = response.headers_mut();
    grant.write(headers);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static(request_id::HEADER), id);
    }
    response
}

/// What a path captured: its last name, and of two the first.
type Captured = (String, Option<String>);

async fn find(group: Option<&Group>, mut request: Request) -> Result<(Route, Captured, Request), Refused> {
    let group = group.ok_or_else(not_found)?;
    let (last, parent) = if group.captures() {
        // What is no UTF-8 names nothing.
        let params = request.extract_parts::<RawPathParams>().await.map_err(|_| not_found())?;
        let mut names: Vec<String> = params.iter().map(|(_, value)| value.to_owned()).collect();
        (names.pop(), names.pop())
    } else {
        (None, None)
    };
    let (route, name) = group.choose(request.method(), last)?;
    Ok((route, (name, parent), request))
}

/// What the route's handler answers, if the caller may call it, and for as long as he may.
async fn handled(app: &Arc<App>, route: Route, found: Captured, request: Request, id: &str) -> Answer {
    let from = request.extensions().get::<Peer>().map(|it| it.0);
    let caller = app.door.admit(&app.engine, &route, request.headers(), from)?;
    let _under_way = app.door.count(&caller, &route, from)?;
    let answer = match auth::may(&caller, &route) {
        Ok(()) => answered(app, route, found, &caller, from, request, id).await,
        Err(refused) => Err(refused),
    };
    answer.inspect_err(|it| {
        if it.code == FORBIDDEN {
            app.door.note(&app.engine, &caller, &route, from, it.code.code);
        }
    })
}

/// What the handler answers, for as long as the caller's key holds.
async fn answered(
    app: &Arc<App>,
    route: Route,
    found: Captured,
    caller: &Caller,
    from: Option<IpAddr>,
    request: Request,
    id: &str,
) -> Answer {
    let handling = caught((route.handler)(call(app, found, caller.clone(), from, request)), id);
    let Caller::Holder(_, text) = caller else { return handling.await };
    tokio::select! {
        biased;
        answer = handling => answer,
        () = app.engine.key_ended(text) => Err(auth::ended()),
    }
}

fn call(app: &Arc<App>, (name, parent): Captured, caller: Caller, from: Option<IpAddr>, request: Request) -> Call {
    let (parts, body) = request.into_parts();
    let (app, body) = (Arc::clone(app), Mutex::new(body));
    Call { app, name, parent, caller, from, headers: parts.headers, uri: parts.uri, body }
}

/// What `handling` comes to, a panic included: one request's must not take the connection's others with it.
async fn caught(handling: impl Future<Output = Answer>, id: &str) -> Answer {
    let mut handling = pin!(handling);
    let outcome = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    outcome.await.unwrap_or_else(|panic| {
        tracing::error!(request = id, panic = said(&*panic), "a handler panicked");
        Err(internal())
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
