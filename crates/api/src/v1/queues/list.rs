//! GET `/v1/queues`: in the order of their names.

use std::collections::HashMap;

use tasklane_core::gate::{Bounds, GateName};
use tasklane_core::limit;
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

/// What the gates of queues let through; these stand before all others.
async fn bounds(call: &Call) -> Result<HashMap<Box<str>, Bounds>, Refused> {
    let (mut bounds, mut after) = (HashMap::new(), None);
    loop {
        let page = call.engine().gates(after, limit::PAGE_ITEMS).await?;
        let full = page.len() == limit::PAGE_ITEMS;
        after = page.last().map(|gate| gate.name.clone());
        for gate in page {
            let GateName::Queue(queue) = gate.name else { return Ok(bounds) };
            bounds.insert(queue, gate.bounds);
        }
        if !full {
            return Ok(bounds);
        }
    }
}

async fn shapes(call: &Call, queues: &[Queue]) -> Result<Vec<QueueShape>, Refused> {
    let (now, mut looks) = (call.engine().now(), 0);
    let bounds = bounds(call).await?;
    let mut shapes = Vec::with_capacity(queues.len());
    for queue in queues {
        looks += usize::from(at_a_glance(queue).is_none());
        let verdict = match at_a_glance(queue) {
            Some(verdict) => verdict.to_owned(),
            None if looks > limits::VERDICTS => WAITING.to_owned(),
            None => verdict(call.engine(), queue).await?,
        };
        shapes.push(QueueShape::new(queue, now, verdict, bounds.get(&queue.name)));
    }
    Ok(shapes)
}
