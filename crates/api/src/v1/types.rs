//! `/v1/types`: those that have tasks or that a worker serves.

use tasklane_engine::TypeOverview;
use tasklane_wire::overview::TypeShape;
use tasklane_wire::task::Page;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{Refused, TYPE_NOT_FOUND};
use crate::limits;
use crate::name_page::NamePage;

/// GET `/v1/types`: in the order of their names.
pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = NamePage::take(&mut query, limits::PAGE_NAMES);
    query.finish()?;
    let (types, next_cursor) = wanted.cut(call.engine().types().await?, |it| &it.name)?;
    answer::shape(&Page { items: types.iter().map(shape).collect(), next_cursor })
}

/// GET `/v1/types/{type}`
pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    let types = call.engine().types().await?;
    let found = types.iter().find(|it| *it.name == *call.name);
    let detail = "no task is of this type and no worker serves it";
    answer::shape(&shape(found.ok_or_else(|| Refused::new(TYPE_NOT_FOUND, detail))?))
}

fn shape(of: &TypeOverview) -> TypeShape {
    let queues = of.queues.iter().map(|it| it.to_string()).collect();
    TypeShape {
        name: of.name.to_string(),
        queues,
        queue_count: of.queue_count,
        counts: (&of.counts).into(),
        workers: of.workers,
        crashing: of.crashing.is_some(),
    }
}
