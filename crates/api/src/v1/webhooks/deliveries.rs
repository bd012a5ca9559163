//! GET `/v1/webhooks/{webhook}/deliveries`: newest first; and one of them.

use tasklane_core::limit;
use tasklane_core::state::State;
use tasklane_engine::DeliveryQuery;
use tasklane_wire::page;
use tasklane_wire::read::task_id;
use tasklane_wire::task::Page;
use tasklane_wire::webhook::DeliveryShape;

use super::named;
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::delivery_not_found;
use crate::id_page::bad_cursor;

/// Items of a page unless the caller says otherwise.
const PAGE: usize = 50;

pub(crate) async fn deliveries(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = DeliveryQuery {
        state: query.read("state", "a state, such as failed", State::from_word),
        since: query.moment("since"),
        until: query.moment("until"),
    };
    let limit = query.limit(limit::PAGE_ITEMS).unwrap_or(PAGE);
    let cursor = query.take("cursor");
    query.finish()?;
    let below = cursor.map(|it| page::decode(&it).ok_or_else(bad_cursor)).transpose()?;
    let id = named(&call).await?.id;
    let page = call.engine().deliveries(id, wanted, below, limit).await?;
    let items = page.tasks.iter().map(DeliveryShape::new).collect();
    answer::shape(&Page { items, next_cursor: page.next.map(page::encode) })
}

pub(crate) async fn delivery(call: Call) -> Answer {
    call.no_query()?;
    let webhook = named(&call).await?.id;
    let id = task_id(&call.name).ok_or_else(delivery_not_found)?;
    answer::shape(&DeliveryShape::new(&call.engine().delivery(webhook, id).await?))
}
