//! GET `/v1/webhooks`: in the order in which they were set up; and GET `/v1/webhooks/{webhook}`.

use tasklane_engine::EndpointQuery;

use super::{named, shape};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::id_page::IdPage;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = IdPage::take(&mut query);
    let tenant = query.take("tenant").map(Box::from);
    query.finish()?;
    let (after, tenant) = (wanted.after()?, call.tenant_of(tenant)?);
    let found = call.engine().endpoints(EndpointQuery { tenant, after, most: wanted.reads() }).await?;
    answer::shape(&wanted.cut(found, |it| it.id.0, shape))
}

pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    answer::shape(&shape(&named(&call).await?))
}
