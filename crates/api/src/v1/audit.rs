//! GET `/v1/audit`: who changed what people set up, and who was refused; newest first.

use tasklane_engine::AuditQuery;
use tasklane_wire::audit::EntryShape;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::id_page::IdPage;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = IdPage::take(&mut query);
    let tenant = query.take("tenant").map(Box::from);
    query.finish()?;
    let (after, tenant) = (wanted.after()?, call.tenant_of(tenant)?);
    let found = call.engine().audit(AuditQuery { tenant, after, most: wanted.reads() }).await?;
    answer::shape(&wanted.cut(found, |it| it.0, |(id, entry)| EntryShape::new(*id, entry)))
}
