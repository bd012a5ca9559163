//! What the actions by hand share.

use tasklane_core::hand::Hand;

use crate::answer::{self, Answer};
use crate::call::Call;

/// Does `hand` to the task the path names and answers with it.
pub(super) async fn by_hand(call: &Call, hand: Hand) -> Answer {
    let task = call.engine().hand(call.task_to_change().await?, hand).await?;
    Ok(answer::ok(answer::task_body(&task)))
}
