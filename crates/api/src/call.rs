//! A request on its way to a handler.

use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::{HeaderMap, Uri};
use tasklane_core::accept::NewTask;
use tasklane_core::key;
use tasklane_core::limit;
use tasklane_core::ports::BoxFuture;
use tasklane_core::queue::is_of_system;
use tasklane_core::task::{Scope, TaskId};
use tasklane_engine::Engine;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, task_id};

use crate::auth::Caller;
use crate::body::{self, Accepts, Received};
use crate::edge::App;
use crate::error::{FORBIDDEN, Refused, not_of_that_tenant, task_not_found};
use crate::limits;
use crate::outward::Outward;
use crate::query::Query;

/// A request that found its route.
pub(crate) struct Call {
    pub app: Arc<App>,
    /// What the path captured: an id or a queue's name. Where it captured two, the last.
    pub name: String,
    /// The first of two.
    pub parent: Option<String>,
    pub caller: Caller,
    /// Where the request came from, if that is known.
    pub from: Option<IpAddr>,
    pub headers: HeaderMap,
    pub uri: Uri,
    /// A body may not be shared between threads, a call may: nobody ever locks this.
    pub body: Mutex<Body>,
}

impl Call {
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// The engine in the caller's hands: what he changes of what people set up is noted as his.
    pub fn acting(&self) -> Engine {
        self.app.engine.by(self.caller.actor(self.from))
    }

    /// The parameters of the query; a handler that takes some must end with [`Query::finish`].
    pub fn query(&self) -> Query {
        Query::of(&self.uri)
    }

    /// What is left of a call that is to wait: its head may keep a whole read buffer, and ten thousand may wait.
    pub fn without_head(self) -> Arc<App> {
        self.app
    }

    /// Refuses a query.
    pub fn no_query(&self) -> Result<(), Refused> {
        self.query().finish()
    }

    /// Whose things the caller may see; `None` is everybody's.
    pub fn tenant(&self) -> Option<&str> {
        self.caller.grant().tenant.as_deref()
    }

    /// The tenant that is asked for, within what the caller may see.
    pub fn tenant_of(&self, asked: Option<Box<str>>) -> Result<Option<Box<str>>, Refused> {
        match (self.tenant(), asked) {
            (None, asked) => Ok(asked),
            (Some(own), Some(asked)) if *asked != *own => Err(not_of_that_tenant(own)),
            (Some(own), _) => Ok(Some(own.into())),
        }
    }

    /// Makes a new task the caller's tenant's, if he has one.
    pub fn own(&self, task: &mut NewTask) -> Result<(), Refused> {
        self.owner().own(task)
    }

    /// Whose the caller's tasks are.
    pub fn owner(&self) -> Owner {
        Owner { scope: self.tenant().map(|it| Scope::of(Some(it))), outward: self.app.options.outward.clone() }
    }

    /// Ends when the caller may see nothing more; what is streamed to him ends with it.
    pub fn ended(&self) -> BoxFuture<'static, ()> {
        match &self.caller {
            Caller::Nobody | Caller::Setting => Box::pin(pending()),
            Caller::Holder(_, text) => {
                let (engine, text) = (self.app.engine.clone(), text.clone());
                Box::pin(async move { engine.key_ended(&text).await })
            }
        }
    }

    /// The task the path names, if the caller may see it.
    pub async fn task(&self) -> Result<TaskId, Refused> {
        let id = task_id(&self.name).ok_or_else(task_not_found)?;
        if let Some(tenant) = self.tenant() {
            let facts = self.engine().facts(id).await?.ok_or_else(task_not_found)?;
            if *facts.scope.tenant != *tenant {
                return Err(task_not_found());
            }
        }
        Ok(id)
    }

    /// The same, to be acted on: what the system does itself, such as a bulk, is the affair of admins.
    pub async fn task_to_change(&self) -> Result<TaskId, Refused> {
        let id = self.task().await?;
        if !self.caller.grant().has(key::Scope::Admin) {
            let facts = self.engine().facts(id).await?.ok_or_else(task_not_found)?;
            if is_of_system(&facts.lane.queue) {
                return Err(Refused::new(FORBIDDEN, "this task is one of the system's own; it takes the scope admin"));
            }
        }
        Ok(id)
    }

    /// The header `name` as text, if it is given and is a name as core knows them.
    pub fn name_header(&self, name: &'static str, findings: &mut Findings) -> Option<String> {
        let value = self.headers.get(name)?;
        let text = value.to_str().ok().filter(|it| tasklane_wire::name::is_name(it));
        if text.is_none() || self.headers.get_all(name).iter().count() > 1 {
            let message = format!("must be given once, with 1 to {} visible ASCII characters", limit::NAME_BYTES);
            findings.push(format!("header:{name}"), message);
        }
        text.map(str::to_owned)
    }

    /// The whole body, of a type among `accepts` and at most `most` bytes.
    pub async fn receive(&mut self, accepts: Accepts, most: usize) -> Result<Received, Refused> {
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        body::receive(&self.app.bodies, &self.headers, body, accepts, most).await
    }

    /// The body of an action: `None` where it is empty.
    pub async fn action_body(&mut self) -> Result<Option<Received>, Refused> {
        let received = self.receive(Accepts::JsonOrNothing, limits::ACTION_BODY).await?;
        Ok(Some(received).filter(|it| !it.bytes.is_empty()))
    }

    /// Refuses a body with members, as of an action that takes none.
    pub async fn no_members(&mut self) -> Result<(), Refused> {
        let Some(received) = self.action_body().await? else { return Ok(()) };
        let mut findings = Findings::default();
        let value = Value::new(validate(&received.bytes, 0)?);
        let at = tasklane_wire::read::Path::ROOT;
        tasklane_wire::read::object(value, &at, &mut findings, |_, _, at, findings| findings.unknown(at));
        if findings.is_empty() { Ok(()) } else { Err(findings.into()) }
    }
}

/// Whose a caller's tasks are, and whom they may call back.
pub(crate) struct Owner {
    scope: Option<Arc<Scope>>,
    outward: Outward,
}

impl Owner {
    /// Makes a new task his tenant's, if he has one.
    pub fn own(&self, task: &mut NewTask) -> Result<(), Refused> {
        if let Some(callback) = &task.spec.callback {
            self.outward.check("/callback/url", &callback.url)?;
        }
        let Some(own) = &self.scope else { return Ok(()) };
        if task.scope.tenant.is_empty() {
            task.scope = match task.scope.origin == own.origin {
                true => Arc::clone(own),
                false => Arc::new(Scope { origin: task.scope.origin.clone(), tenant: own.tenant.clone() }),
            };
        }
        if task.scope.tenant == own.tenant { Ok(()) } else { Err(not_of_that_tenant(&own.tenant)) }
    }
}
