//! GET `/v1/tasks/{task}/events`: what happens to one task, to its end.

use tasklane_engine::Following;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::stream::{Stream, last_event};
use crate::v1::events::after;

pub(crate) async fn events(call: Call) -> Answer {
    let mut query = call.query();
    let after = after(&mut query);
    query.finish()?;
    let resume = last_event(&call.headers).or(after);
    let id = call.task().await?;
    let mut stream = call.engine().follow(id, Following::Everything, resume).await?;
    let mut first = Vec::new();
    if resume.is_some() && stream.is_of_final() {
        match stream.next().await? {
            Some(said) => first = said,
            // Nothing is left: this tells a browser not to come again.
            None => return Ok(answer::nothing()),
        }
    }
    Ok(Stream::Task(id, Box::new(stream)).answer(first, call.ended()))
}
