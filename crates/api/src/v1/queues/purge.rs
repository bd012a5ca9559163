//! POST `/v1/queues/{queue}:purge`: a task of a system queue cancels all unfinished tasks that do not run. The answer is
//! the queue, and `Location` that task.

use http::HeaderValue;
use http::header::LOCATION;
use tasklane_core::bulk::{Action, Bulk, Mode};
use tasklane_core::ports::store::TaskFilter;

use super::get::{answer, queue_not_found};
use crate::answer::Answer;
use crate::call::Call;

pub(crate) async fn purge(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let name: Box<str> = call.name.as_str().into();
    let find = async || call.engine().queues(Some(name.clone())).await.map(|it| it.into_iter().next());
    find().await?.ok_or_else(queue_not_found)?;
    let filter = TaskFilter { queue: Some(name.clone()), ..TaskFilter::default() };
    let purge = Bulk { filter, action: Action::Purge, mode: Mode::Apply };
    let accepted = call.acting().submit_bulk(&purge, None).await?.accepted;
    let queue = find().await?.ok_or_else(queue_not_found)?;
    let mut response = answer(&call, &queue).await?;
    let location = HeaderValue::from_str(&format!("/v1/tasks/{}", accepted.id));
    response.headers_mut().insert(LOCATION, location.expect("an id is ASCII"));
    Ok(response)
}
