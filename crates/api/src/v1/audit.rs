//! GET `/v1/audit`: who changed what people set up, and who was refused; newest first.

use tasklane_core::limit;
use tasklane_core::task::TaskId;
use tasklane_engine::AuditQuery;
use tasklane_wire::audit::EntryShape;
use tasklane_wire::page;
use tasklane_wire::task::Page;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{BAD_CURSOR, Refused};

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let most = query.limit(limit::PAGE_ITEMS).unwrap_or(limit::PAGE_ITEMS);
    let tenant = query.take("tenant").map(Box::from);
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|it| page::decode(&it).ok_or_else(bad_cursor)).transpose()?.map(|it| it.0);
    let tenant = call.tenant_of(tenant)?;
    let mut found = call.engine().audit(AuditQuery { tenant, after, most: most + 1 }).await?;
    let is_more = found.len() > most;
    found.truncate(most);
    let next_cursor = found.last().filter(|_| is_more).map(|(id, _)| page::encode(TaskId(*id)));
    answer::shape(&Page { items: found.iter().map(|(id, it)| EntryShape::new(*id, it)).collect(), next_cursor })
}

fn bad_cursor() -> Refused {
    Refused::new(BAD_CURSOR, "this is no cursor that a page of this list ended with; begin without one")
}
