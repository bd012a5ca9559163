//! DELETE `/tasks/{task}`: hides a task that is completed or failed.

use http::StatusCode;
use serde_json::json;
use tasklane_core::error::HandError;
use tasklane_core::hand::Hand;
use tasklane_engine::HandCallError;

use super::{error, task, words};
use crate::answer::{self, Answer};
use crate::call::Call;

pub(super) async fn delete(call: Call) -> Answer {
    let Some(task) = task(&call).await? else { return Ok(error::task_not_found()) };
    let id = task.facts.id;
    match call.engine().hand(id, Hand::Hide).await {
        Ok(_) => Ok(answer::ok(json!({ "message": "Task deleted successfully", "task_id": id }).to_string())),
        Err(HandCallError::Refused(HandError::InvalidTransition { state, .. })) => {
            let status = words::status(state);
            let text =
                format!("Cannot delete task with status '{status}'. Only completed or failed tasks can be deleted.");
            Ok(error::detail(StatusCode::BAD_REQUEST, &text))
        }
        // Somebody else was quicker.
        Err(HandCallError::Refused(HandError::NotFound)) => Ok(error::task_not_found()),
        Err(refused) => Err(refused.into()),
    }
}
