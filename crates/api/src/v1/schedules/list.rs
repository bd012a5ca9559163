//! GET `/v1/schedules`: in the order in which they were made; and GET `/v1/schedules/{schedule}`.

use tasklane_core::limit;
use tasklane_core::schedule::ScheduleId;
use tasklane_core::task::TaskId;
use tasklane_engine::ScheduleQuery;
use tasklane_wire::page;
use tasklane_wire::task::Page;

use super::{named, shape};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{BAD_CURSOR, Refused};

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let most = query.limit(limit::PAGE_ITEMS).unwrap_or(limit::PAGE_ITEMS);
    let (tenant, name) = (query.take("tenant").map(Box::from), query.take("name").map(Box::from));
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|it| page::decode(&it).ok_or_else(bad_cursor)).transpose()?;
    let (after, tenant) = (after.map(|it| ScheduleId(it.0)), call.tenant_of(tenant)?);
    let mut found = call.engine().schedules(ScheduleQuery { tenant, name, after, most: most + 1 }).await?;
    let is_more = found.len() > most;
    found.truncate(most);
    let next_cursor = found.last().filter(|_| is_more).map(|it| page::encode(TaskId(it.id.0)));
    answer::shape(&Page { items: found.iter().map(shape).collect(), next_cursor })
}

pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    answer::shape(&shape(&named(&call).await?))
}

fn bad_cursor() -> Refused {
    Refused::new(BAD_CURSOR, "this is no cursor that a page of this list ended with; begin without one")
}
