//! GET `/tasks`: every task up to [`TASKS`], newest first; then the newest, with the true number and a `Link` to the rest.

use axum::response::Response;
use http::HeaderValue;
use http::header::LINK;
use tasklane_core::limit;
use tasklane_core::ports::store::{Hidden, TaskFilter, TaskPage};
use tasklane_core::task::Task;
use tasklane_wire::json::{Array, Object};

use super::query::Wanted;
use super::{ORIGIN, error, words, write};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::Refused;

/// Most tasks of one answer.
const TASKS: usize = 1000;
/// Bytes of parameters, results and errors after which an answer ends.
const BYTES: usize = 32 << 20;
/// Most reads for one answer; each examines [`limit::READ_ROWS`] rows at most.
const READS: usize = 50;

pub(super) async fn list(call: Call) -> Answer {
    let wanted = match Wanted::read(call.query()) {
        Ok(wanted) => wanted,
        Err(wrong) => return Ok(error::unprocessable(&[wrong])),
    };
    let (total, page) = match wanted.filter() {
        Some(filter) => gather(&call, TaskFilter { tenant: call.tenant().map(Box::from), ..filter }, &wanted).await?,
        None => (0, TaskPage::default()),
    };
    Ok(write_list(&wanted, total, &page))
}

/// How many tasks fit, by the store's own counters.
async fn total(call: &Call, filter: &TaskFilter) -> Result<u64, Refused> {
    let (shown, deleted) = words::count(&call.engine().counts(ORIGIN, call.tenant()).await?, &filter.states);
    Ok(match filter.hidden {
        Hidden::Without => shown,
        Hidden::With => shown + deleted,
        Hidden::Only => deleted,
    })
}

/// Reads until the answer is full or the list ends: a read that examined its fill may find few tasks, or none. Answers
/// with the number of all, too, counted after the reads so that it is not smaller than what they found.
async fn gather(call: &Call, filter: TaskFilter, wanted: &Wanted) -> Result<(u64, TaskPage), Refused> {
    let mut whole = TaskPage { tasks: Vec::new(), next: wanted.below };
    let (mut bytes, mut reads) = (0, 0);
    loop {
        let piece = limit::PAGE_ITEMS.min(TASKS - whole.tasks.len());
        let page = call.engine().list(filter.clone(), whole.next, piece).await?;
        bytes += page.tasks.iter().map(Task::bytes).sum::<usize>();
        whole.tasks.extend(page.tasks);
        whole.next = page.next;
        reads += 1;
        let total = total(call, &filter).await?;
        if wanted.below.is_none() && whole.tasks.len() as u64 >= total {
            // These are all: what is older need not be looked through.
            whole.next = None;
        }
        if whole.next.is_none() || whole.tasks.len() >= TASKS || bytes >= BYTES || reads >= READS {
            return Ok((total, whole));
        }
    }
}

fn write_list(wanted: &Wanted, total: u64, page: &TaskPage) -> Response {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    object.integer("total_tasks", i64::try_from(total).unwrap_or(i64::MAX));
    let mut filters = Object::begin(object.key("filters"));
    filters.string("status", &wanted.status);
    filters.bool("include_deleted", wanted.include_deleted);
    filters.end();
    let mut tasks = Array::begin(object.key("tasks"));
    page.tasks.iter().for_each(|task| write::write(tasks.item(), task));
    tasks.end();
    object.end();
    let mut response = answer::ok(out);
    if let Some(last) = page.next {
        let link = HeaderValue::from_str(&wanted.link(last));
        response.headers_mut().extend(link.ok().map(|it| (LINK, it)));
    }
    response
}
