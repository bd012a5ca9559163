//! GET `/v1/queues`: in the order of their names.

use tasklane_core::queue::Queue;
use tasklane_wire::queue::QueueShape;
use tasklane_wire::task::Page;

use super::verdict::{WAITING, at_a_glance, verdict};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::Refused;
use crate::limits;
use crate::name_page::NamePage;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = NamePage::take(&mut query, limits::PAGE_NAMES);
    query.finish()?;
    let (queues, next_cursor) = wanted.cut(call.engine().queues(None).await?, |it| &it.name)?;
    answer::shape(&Page { items: shapes(&call, &queues).await?, next_cursor })
}

async fn shapes(call: &Call, queues: &[Queue]) -> Result<Vec<QueueShape>, Refused> {
    let (now, mut looks) = (call.engine().now(), 0);
    let mut shapes = Vec::with_capacity(queues.len());
    for queue in queues {
        looks += usize::from(at_a_glance(queue).is_none());
        let verdict = match at_a_glance(queue) {
            Some(verdict) => verdict.to_owned(),
            None if looks > limits::VERDICTS => WAITING.to_owned(),
            None => verdict(call.engine(), queue).await?,
        };
        shapes.push(QueueShape::new(queue, now, verdict));
    }
    Ok(shapes)
}
