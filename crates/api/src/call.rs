//! A request on its way to a handler.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::{HeaderMap, Uri};
use tasklane_core::limit;
use tasklane_core::task::TaskId;
use tasklane_engine::Engine;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, task_id};

use crate::body::{self, Accepts, Received};
use crate::edge::App;
use crate::error::{Refused, task_not_found};
use crate::limits;
use crate::query::Query;

/// A request that found its route.
pub(crate) struct Call {
    pub app: Arc<App>,
    /// What the path captured: an id or a queue's name.
    pub name: String,
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

    /// The task the path names.
    pub fn task(&self) -> Result<TaskId, Refused> {
        task_id(&self.name).ok_or_else(task_not_found)
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
