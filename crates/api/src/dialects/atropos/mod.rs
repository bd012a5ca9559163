//! The Atropos task service: its routes and JSON, on Tasklane's engine. `docs/reference/dialects/atropos.md` tells what its
//! clients see and where this differs from the original.

mod delete;
mod docs;
pub(crate) mod error;
mod list;
mod new_task;
mod query;
mod read;
mod root;
mod submit;
mod words;
mod write;

use std::sync::{Arc, LazyLock};

use tasklane_core::task::{Scope, Task};
use tasklane_wire::read::task_id;

use super::Dialect;
use crate::call::Call;
use crate::error::Refused;
use crate::route::{Access, Handler, Route, Verb};

use Access::{Everyone, Read, Submit};
use Verb::{Delete, Get, Post};

/// The origin of its tasks.
pub(crate) const ORIGIN: &str = "atropos";

const fn route(verb: Verb, path: &'static str, access: Access, handler: Handler) -> Route {
    Route { verb, path, access, handler, dialect: Some(Dialect::Atropos) }
}

/// Its routes, wherever it is mounted.
pub(crate) const ROUTES: &[Route] = &[
    route(Post, "/tasks", Submit, |it| Box::pin(submit::submit(it))),
    route(Get, "/tasks", Read, |it| Box::pin(list::list(it))),
    route(Get, "/tasks/{task}/status", Read, |it| Box::pin(read::read(it))),
    route(Get, "/tasks/{task}/result", Read, |it| Box::pin(read::read(it))),
    route(Delete, "/tasks/{task}", Submit, |it| Box::pin(delete::delete(it))),
];

/// What it has besides on Tasklane's own port.
pub(crate) const GUEST_ROUTES: &[Route] =
    &[route(Get, "/openapi/atropos.json", Everyone, |it| Box::pin(docs::openapi(it)))];

/// What it has besides where it is alone.
pub(crate) const ROOT_ROUTES: &[Route] = &[
    route(Get, "/", Everyone, |it| Box::pin(root::root(it))),
    route(Get, "/health", Everyone, |it| Box::pin(root::health(it))),
    route(Get, "/openapi.json", Everyone, |it| Box::pin(docs::openapi(it))),
];

/// The scope of its tasks, shared.
fn scope() -> Arc<Scope> {
    static SCOPE: LazyLock<Arc<Scope>> = LazyLock::new(|| Arc::new(Scope { origin: ORIGIN.into(), tenant: "".into() }));
    Arc::clone(&SCOPE)
}

/// The task that the path names, if it came by this interface and is not deleted.
async fn task(call: &Call) -> Result<Option<Task>, Refused> {
    let Some(id) = task_id(&call.name) else { return Ok(None) };
    let found = call.engine().tasks(vec![id]).await?.pop().flatten();
    let is_own = |scope: &Scope| *scope.origin == *ORIGIN && call.tenant().is_none_or(|own| *scope.tenant == *own);
    Ok(found.filter(|it| is_own(&it.facts.scope)))
}
