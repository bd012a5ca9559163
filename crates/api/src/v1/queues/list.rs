//! GET `/v1/queues`: in the order of their names.

use tasklane_core::queue::Queue;
use tasklane_wire::page;
use tasklane_wire::queue::QueueShape;
use tasklane_wire::task::Page;

use super::verdict::{WAITING, at_a_glance, verdict};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{BAD_CURSOR, Refused};
use crate::limits;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let limit = query.limit(limits::PAGE_QUEUES).unwrap_or(limits::PAGE_QUEUES);
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|it| read_cursor(&it)).transpose()?.unwrap_or_default();
    let mut queues = call.engine().queues(None).await?;
    queues.retain(|it| *it.name > *after);
    let more = queues.len() > limit;
    queues.truncate(limit);
    let next_cursor = queues.last().filter(|_| more).map(|it| page::encode_name(&it.name));
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

fn read_cursor(text: &str) -> Result<String, Refused> {
    let detail = "this is no cursor that a page of this list ended with; begin without one";
    page::decode_name(text).ok_or_else(|| Refused::new(BAD_CURSOR, detail))
}
