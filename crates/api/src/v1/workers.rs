//! `/v1/workers`: those that asked for work lately.

use tasklane_engine::WorkerOverview;
use tasklane_wire::overview::WorkerShape;
use tasklane_wire::task::Page;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::limits;
use crate::name_page::NamePage;

/// GET `/v1/workers`: in the order of their names.
pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = NamePage::take(&mut query, limits::PAGE_NAMES);
    query.finish()?;
    let (workers, next_cursor) = wanted.cut(call.engine().workers(), |it| &it.name)?;
    answer::shape(&Page { items: workers.iter().map(shape).collect(), next_cursor })
}

fn shape(of: &WorkerOverview) -> WorkerShape {
    let lanes = of.lanes.iter().map(Into::into).collect();
    WorkerShape { name: of.name.to_string(), lanes, running: of.running, heard_at: of.heard_at }
}
