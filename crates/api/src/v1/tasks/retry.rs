//! POST `/v1/tasks/{task}:retry`

use tasklane_core::hand::Hand;

use super::hand::by_hand;
use crate::answer::Answer;
use crate::call::Call;

pub(crate) async fn retry(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    by_hand(&call, Hand::Retry).await
}
