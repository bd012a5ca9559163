//! Every URL on one screen.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use tasklane_engine::Engine;

use crate::auth::{Door, SetKeys};
use crate::body;
use crate::dialects::Dialect;
use crate::edge::{self, App};
use crate::host::Hosts;
use crate::metrics::{Metrics, TurnedAway};
use crate::openapi;
use crate::outward::Outward;
use crate::rates::CallLimits;
use crate::request_id::RequestIds;
use crate::route::{Access, Handler, Route, Verb, groups};
use crate::service;
use crate::v1::{
    audit, events, gates, keys, leases, queues, reports, schedules, stats, tasks, types, webhooks, workers,
};

use Access::{Admin, AdminAll, Everyone, Metrics as MetricsAccess, Read, ReadAll, Submit, Work};
use Verb::{Delete, Get, Patch, Post, Put};

const fn route(verb: Verb, path: &'static str, access: Access, handler: Handler) -> Route {
    Route { verb, path, access, handler, dialect: None }
}

/// The table of routes: method, path, who may call, what does it. `:` before the last word is an action.
const ROUTES: &[Route] = &[
    route(Get, "/", Everyone, |it| Box::pin(service::root(it))),
    route(Get, "/health", Everyone, |it| Box::pin(service::health(it))),
    route(Get, "/ready", Everyone, |it| Box::pin(service::ready(it))),
    route(Get, "/metrics", MetricsAccess, |it| Box::pin(service::metrics(it))),
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
    route(Get, "/v1/tasks/{task}/logs", Read, |it| Box::pin(tasks::logs(it))),
    route(Get, "/v1/tasks/{task}/events", Read, |it| Box::pin(tasks::events(it))),
    route(Get, "/v1/events", Read, |it| Box::pin(events::events(it))),
    route(Get, "/v1/tasks/{task}/why", Read, |it| Box::pin(tasks::why(it))),
    route(Post, "/v1/tasks/{task}:cancel", Submit, |it| Box::pin(tasks::cancel(it))),
    route(Post, "/v1/tasks/{task}:retry", Submit, |it| Box::pin(tasks::retry(it))),
    route(Post, "/v1/tasks/{task}:rerun", Submit, |it| Box::pin(tasks::rerun(it))),
    route(Post, "/v1/tasks/{task}:reschedule", Submit, |it| Box::pin(tasks::reschedule(it))),
    route(Delete, "/v1/tasks/{task}", Submit, |it| Box::pin(tasks::delete(it))),
    route(Post, "/v1/leases", Work, |it| Box::pin(leases::lease(it))),
    route(Post, "/v1/reports", Work, |it| Box::pin(reports::report(it))),
    route(Get, "/v1/queues", ReadAll, |it| Box::pin(queues::list(it))),
    route(Get, "/v1/queues/{queue}", ReadAll, |it| Box::pin(queues::get(it))),
    route(Put, "/v1/queues/{queue}", AdminAll, |it| Box::pin(queues::put(it))),
    route(Post, "/v1/queues/{queue}:pause", AdminAll, |it| Box::pin(queues::pause(it))),
    route(Post, "/v1/queues/{queue}:resume", AdminAll, |it| Box::pin(queues::resume(it))),
    route(Post, "/v1/queues/{queue}:drain", AdminAll, |it| Box::pin(queues::drain(it))),
    route(Post, "/v1/queues/{queue}:purge", AdminAll, |it| Box::pin(queues::purge(it))),
    route(Get, "/v1/gates", Read, |it| Box::pin(gates::list(it))),
    route(Get, "/v1/gates/{gate}", Read, |it| Box::pin(gates::get(it))),
    route(Put, "/v1/gates/{gate}", Admin, |it| Box::pin(gates::put(it))),
    route(Delete, "/v1/gates/{gate}", Admin, |it| Box::pin(gates::delete(it))),
    route(Post, "/v1/schedules", Submit, |it| Box::pin(schedules::make(it))),
    route(Post, "/v1/schedules:preview", Read, |it| Box::pin(schedules::preview_of(it))),
    route(Get, "/v1/schedules", Read, |it| Box::pin(schedules::list(it))),
    route(Get, "/v1/schedules/{schedule}", Read, |it| Box::pin(schedules::get(it))),
    route(Patch, "/v1/schedules/{schedule}", Submit, |it| Box::pin(schedules::change(it))),
    route(Delete, "/v1/schedules/{schedule}", Submit, |it| Box::pin(schedules::delete(it))),
    route(Get, "/v1/schedules/{schedule}/preview", Read, |it| Box::pin(schedules::preview(it))),
    route(Get, "/v1/schedules/{schedule}/runs", Read, |it| Box::pin(schedules::runs(it))),
    route(Post, "/v1/schedules/{schedule}:run", Submit, |it| Box::pin(schedules::run(it))),
    route(Post, "/v1/schedules/{schedule}:pause", Submit, |it| Box::pin(schedules::pause(it))),
    route(Post, "/v1/schedules/{schedule}:resume", Submit, |it| Box::pin(schedules::resume(it))),
    route(Post, "/v1/webhooks", Admin, |it| Box::pin(webhooks::make(it))),
    route(Get, "/v1/webhooks", Read, |it| Box::pin(webhooks::list(it))),
    route(Get, "/v1/webhooks/{webhook}", Read, |it| Box::pin(webhooks::get(it))),
    route(Patch, "/v1/webhooks/{webhook}", Admin, |it| Box::pin(webhooks::change(it))),
    route(Delete, "/v1/webhooks/{webhook}", Admin, |it| Box::pin(webhooks::delete(it))),
    route(Post, "/v1/webhooks/{webhook}:enable", Admin, |it| Box::pin(webhooks::enable(it))),
    route(Post, "/v1/webhooks/{webhook}:disable", Admin, |it| Box::pin(webhooks::disable(it))),
    route(Post, "/v1/webhooks/{webhook}:rotate-secret", Admin, |it| Box::pin(webhooks::rotate(it))),
    route(Post, "/v1/webhooks/{webhook}:test", Admin, |it| Box::pin(webhooks::test(it))),
    route(Post, "/v1/webhooks/{webhook}:redeliver", Admin, |it| Box::pin(webhooks::redeliver_failed(it))),
    route(Get, "/v1/webhooks/{webhook}/deliveries", Read, |it| Box::pin(webhooks::deliveries(it))),
    route(Get, "/v1/webhooks/{webhook}/deliveries/{delivery}", Read, |it| Box::pin(webhooks::delivery(it))),
    route(Post, "/v1/webhooks/{webhook}/deliveries/{delivery}:redeliver", Admin, |it| {
        Box::pin(webhooks::redeliver(it))
    }),
    route(Post, "/v1/keys", Admin, |it| Box::pin(keys::make(it))),
    route(Get, "/v1/keys", Admin, |it| Box::pin(keys::list(it))),
    route(Get, "/v1/keys/{key}", Admin, |it| Box::pin(keys::get(it))),
    route(Delete, "/v1/keys/{key}", Admin, |it| Box::pin(keys::delete(it))),
    route(Post, "/v1/keys/{key}:rotate", Admin, |it| Box::pin(keys::rotate(it))),
    route(Post, "/v1/keys/{key}:revoke", Admin, |it| Box::pin(keys::revoke(it))),
    route(Get, "/v1/audit", Admin, |it| Box::pin(audit::list(it))),
    route(Get, "/v1/types", ReadAll, |it| Box::pin(types::list(it))),
    route(Get, "/v1/types/{type}", ReadAll, |it| Box::pin(types::get(it))),
    route(Get, "/v1/workers", ReadAll, |it| Box::pin(workers::list(it))),
    route(Get, "/v1/stats", ReadAll, |it| Box::pin(stats::stats(it))),
];

/// What the router is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Under which names it answers.
    pub hosts: Hosts,
    /// The word for the store in `/` and `/health` (`sqlite`, `postgres`).
    pub database: &'static str,
    /// Pages of these origins (`https://app.example`) may call every route and read the answers.
    pub cors_origins: Arc<[Box<str>]>,
    /// The dialect that has the root routes: `/`, `/health` and the like are its own, not Tasklane's.
    pub alone: Option<Dialect>,
    /// Keys of settings.
    pub keys: SetKeys,
    /// How much each caller may call.
    pub limits: CallLimits,
    /// Which URLs callers may have the server call.
    pub outward: Outward,
    /// Counted by whoever listens, shown in `/metrics`.
    pub turned_away: TurnedAway,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: Hosts::Loopback,
            database: "sqlite",
            cors_origins: Arc::default(),
            alone: None,
            keys: SetKeys::default(),
            limits: CallLimits::default(),
            outward: Outward::default(),
            turned_away: TurnedAway::default(),
        }
    }
}

/// Tasklane's own routes with those of every dialect; or, for a dialect alone, with its own and its root routes.
fn table(alone: Option<Dialect>) -> Vec<Route> {
    let dialects = alone.map_or(Dialect::ALL.to_vec(), |it| vec![it]);
    let of_dialects = dialects.iter().flat_map(|it| it.routes());
    let of_root: Vec<_> = match alone {
        None => dialects.iter().flat_map(|it| it.guest_routes()).copied().collect(),
        Some(dialect) => dialect.root_routes().to_vec(),
    };
    let own = ROUTES.iter().filter(|own| of_root.iter().all(|it| it.path != own.path));
    own.chain(of_dialects).chain(&of_root).copied().collect()
}

/// Who may call one of Tasklane's own routes.
pub(crate) fn access_of(verb: Verb, path: &str) -> Option<Access> {
    ROUTES.iter().find(|it| it.verb == verb && it.path == path).map(|it| it.access)
}

/// The router over `engine`.
pub fn router(engine: Engine, options: Options) -> Router {
    let request_ids = RequestIds::new(&engine.draw_id().0);
    let table = table(options.alone);
    let metrics = Metrics::new(&options.turned_away);
    let door = Door::new(options.keys.clone(), options.limits);
    let app = Arc::new(App { engine, options, metrics, request_ids, door, bodies: body::budget() });
    let mut router = Router::new();
    for group in groups(&table) {
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
            let is_open = matches!(route.access, Everyone | MetricsAccess);
            assert_eq!(is_open, !route.path.starts_with("/v1/"), "{route:?}");
        }
        for dialect in Dialect::ALL {
            assert!(dialect.routes().iter().all(|it| it.access != Everyone), "{dialect:?}");
            let open = dialect.root_routes().iter().chain(dialect.guest_routes());
            assert!(open.clone().all(|it| it.access == Everyone), "{dialect:?}");
        }
    }

    #[test]
    fn every_path_has_one_owner_wherever_a_dialect_is_mounted() {
        for alone in [None, Some(Dialect::Atropos)] {
            for group in groups(&table(alone)) {
                assert!(group.is_of_one(), "{group:?}");
            }
        }
        let alone = table(Some(Dialect::Atropos));
        assert!(alone.iter().any(|it| it.path == "/health" && it.dialect == Some(Dialect::Atropos)));
        assert!(alone.iter().any(|it| it.path == "/ready" && it.dialect.is_none()));
    }
}
