//! Every URL on one screen.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use tasklane_engine::Engine;

use crate::body;
use crate::edge::{self, App};
use crate::host::Hosts;
use crate::metrics::Metrics;
use crate::openapi;
use crate::request_id::RequestIds;
use crate::route::{Access, Handler, Route, Verb, groups};
use crate::service;
use crate::v1::{leases, queues, reports, stats, tasks, types, workers};

use Access::{Admin, Everyone, Read, Submit, Work};
use Verb::{Delete, Get, Post};

const fn route(verb: Verb, path: &'static str, access: Access, handler: Handler) -> Route {
    Route { verb, path, access, handler }
}

/// The table of routes: method, path, who may call, what does it. `:` before the last word is an action.
const ROUTES: &[Route] = &[
    route(Get, "/", Everyone, |it| Box::pin(service::root(it))),
    route(Get, "/health", Everyone, |it| Box::pin(service::health(it))),
    route(Get, "/ready", Everyone, |it| Box::pin(service::ready(it))),
    route(Get, "/metrics", Everyone, |it| Box::pin(service::metrics(it))),
    route(Get, "/docs", Everyone, |it| Box::pin(service::docs(it))),
    route(Get, "/docs/assets/{asset}", Everyone, |it| Box::pin(service::asset(it))),
    route(Get, "/redoc", Everyone, |it| Box::pin(service::redoc(it))),
    route(Get, "/docs/errors/{code}", Everyone, |it| Box::pin(service::error_page(it))),
    route(Get, "/openapi.json", Everyone, |it| Box::pin(openapi::openapi(it))),
    route(Post, "/v1/tasks", Submit, |it| Box::pin(tasks::submit(it))),
    route(Post, "/v1/tasks:batch", Submit, |it| Box::pin(tasks::batch(it))),
    route(Post, "/v1/tasks:bulk", Admin, |it| Box::pin(tasks::bulk(it))),
    route(Get, "/v1/tasks", Read, |it| Box::pin(tasks::list(it))),
    route(Get, "/v1/tasks/{task}", Read, |it| Box::pin(tasks::get(it))),
    route(Get, "/v1/tasks/{task}/result", Read, |it| Box::pin(tasks::result(it))),
    route(Get, "/v1/tasks/{task}/attempts", Read, |it| Box::pin(tasks::attempts(it))),
    route(Get, "/v1/tasks/{task}/why", Read, |it| Box::pin(tasks::why(it))),
    route(Post, "/v1/tasks/{task}:cancel", Submit, |it| Box::pin(tasks::cancel(it))),
    route(Post, "/v1/tasks/{task}:retry", Submit, |it| Box::pin(tasks::retry(it))),
    route(Post, "/v1/tasks/{task}:rerun", Submit, |it| Box::pin(tasks::rerun(it))),
    route(Post, "/v1/tasks/{task}:reschedule", Submit, |it| Box::pin(tasks::reschedule(it))),
    route(Delete, "/v1/tasks/{task}", Submit, |it| Box::pin(tasks::delete(it))),
    route(Post, "/v1/leases", Work, |it| Box::pin(leases::lease(it))),
    route(Post, "/v1/reports", Work, |it| Box::pin(reports::report(it))),
    route(Get, "/v1/queues", Read, |it| Box::pin(queues::list(it))),
    route(Get, "/v1/queues/{queue}", Read, |it| Box::pin(queues::get(it))),
    route(Post, "/v1/queues/{queue}:pause", Admin, |it| Box::pin(queues::pause(it))),
    route(Post, "/v1/queues/{queue}:resume", Admin, |it| Box::pin(queues::resume(it))),
    route(Post, "/v1/queues/{queue}:drain", Admin, |it| Box::pin(queues::drain(it))),
    route(Post, "/v1/queues/{queue}:purge", Admin, |it| Box::pin(queues::purge(it))),
    route(Get, "/v1/types", Read, |it| Box::pin(types::list(it))),
    route(Get, "/v1/types/{type}", Read, |it| Box::pin(types::get(it))),
    route(Get, "/v1/workers", Read, |it| Box::pin(workers::list(it))),
    route(Get, "/v1/stats", Read, |it| Box::pin(stats::stats(it))),
];

/// What the router is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Under which names it answers.
    pub hosts: Hosts,
    /// The word for the store in `/` and `/health` (`sqlite`).
    pub database: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { hosts: Hosts::Loopback, database: "sqlite" }
    }
}

/// The router over `engine`.
pub fn router(engine: Engine, options: Options) -> Router {
    let request_ids = RequestIds::new(&engine.draw_id().0);
    let app = Arc::new(App { engine, options, metrics: Metrics::new(), request_ids, bodies: body::budget() });
    let mut router = Router::new();
    for group in groups(ROUTES) {
        let (app, pattern, group) = (Arc::clone(&app), group.pattern.clone(), Arc::new(group));
        let serve = move |it: Request| edge::serve(Arc::clone(&app), Some(Arc::clone(&group)), it);
        router = router.route(&pattern, any(serve));
    }
    router.fallback(move |it: Request| edge::serve(Arc::clone(&app), None, it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let routes: Vec<_> = ROUTES.iter().map(|it| (it.path, it.verb)).collect();
        let documented: Vec<_> = openapi::operations::OPERATIONS.iter().map(|it| (it.path, it.verb)).collect();
        assert_eq!(routes, documented);
    }

    #[test]
    fn only_what_tells_nothing_is_open_to_everyone() {
        for route in ROUTES {
            assert_eq!(route.access == Everyone, !route.path.starts_with("/v1/"), "{route:?}");
        }
    }
}
