//! DELETE `/v1/tasks/{task}`: answers with the task as it was.

use tasklane_core::hand::Hand;

use super::hand::by_hand;
use crate::answer::Answer;
use crate::call::Call;

pub(crate) async fn delete(call: Call) -> Answer {
    call.no_query()?;
    by_hand(&call, Hand::Delete).await
}
