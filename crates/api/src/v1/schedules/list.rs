//! GET `/v1/schedules`: in the order in which they were made; and GET `/v1/schedules/{schedule}`.

use tasklane_core::schedule::ScheduleId;
use tasklane_engine::ScheduleQuery;

use super::{named, shape};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::id_page::IdPage;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = IdPage::take(&mut query);
    let (tenant, name) = (query.take("tenant").map(Box::from), query.take("name").map(Box::from));
    query.finish()?;
    let (after, tenant) = (wanted.after()?.map(ScheduleId), call.tenant_of(tenant)?);
    let found = call.engine().schedules(ScheduleQuery { tenant, name, after, most: wanted.reads() }).await?;
    answer::shape(&wanted.cut(found, |it| it.id.0, shape))
}

pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    answer::shape(&shape(&named(&call).await?))
}
