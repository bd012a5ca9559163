//! GET `/v1/tasks`: newest first.

use tasklane_core::limit;
use tasklane_core::ports::store::{Hidden, TaskFilter};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_wire::bulk::SEARCH_BYTES;
use tasklane_wire::name::{is_name, is_type};
use tasklane_wire::page;
use tasklane_wire::task::write;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{BAD_CURSOR, Refused};
use crate::query::Query;

/// Items of a page unless the caller says otherwise.
const PAGE: usize = 50;

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let mut filter = filter(&mut query);
    let limit = query.limit(limit::PAGE_ITEMS).unwrap_or(PAGE);
    let cursor = query.take("cursor");
    query.finish()?;
    filter.tenant = call.tenant_of(filter.tenant)?;
    let below = cursor.map(|it| read_cursor(&it)).transpose()?;
    let page = call.engine().list(filter, below, limit).await?;
    let next = page.next.map(page::encode);
    Ok(answer::page(&page.tasks, write, next.as_deref()))
}

fn filter(query: &mut Query) -> TaskFilter {
    let name = |it: &str| is_name(it).then(|| Box::from(it));
    let labels = query.take_prefixed("label.");
    for (key, _) in labels.iter().filter(|it| !is_name(&it.0)) {
        query.wrong(&format!("label.{key}"), "must name a label");
    }
    let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    TaskFilter {
        state: query.read("state", &states(), State::from_word),
        task_type: query.read("type", "a type", |it| is_type(it).then(|| it.into())),
        queue: query.read("queue", "a queue's name", name),
        tenant: query.read("tenant", "a tenant's name", name),
        // Tasks of every interface: what a dialect accepted is a task like any other here.
        origin: None,
        states: Vec::new(),
        hidden: Hidden::Without,
        labels,
        search: query.read("q", &format!("a text of 1 to {SEARCH_BYTES} bytes"), search),
        created_after: query.moment("created_after"),
        created_before: query.moment("created_before"),
    }
}

fn search(text: &str) -> Option<Box<str>> {
    (1..=SEARCH_BYTES).contains(&text.len()).then(|| text.into())
}

fn states() -> String {
    let words: Vec<_> = State::ALL.iter().map(|it| it.as_str()).collect();
    format!("one of {}", words.join(", "))
}

fn read_cursor(text: &str) -> Result<TaskId, Refused> {
    let detail = "this is no cursor that a page of this list ended with; begin without one";
    page::decode(text).ok_or_else(|| Refused::new(BAD_CURSOR, detail))
}
