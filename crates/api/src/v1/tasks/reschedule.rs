//! POST `/v1/tasks/{task}:reschedule` `{delay | run_at}`; without either: now.

use tasklane_core::accept::Start;
use tasklane_core::hand::Hand;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::Findings;
use tasklane_wire::task::read_start;

use super::hand::by_hand;
use crate::answer::Answer;
use crate::call::Call;

pub(crate) async fn reschedule(mut call: Call) -> Answer {
    call.no_query()?;
    let mut start = Start::Now;
    if let Some(received) = call.action_body().await? {
        let mut findings = Findings::default();
        start = read_start(Value::new(validate(&received.bytes, 1)?), &mut findings);
        if !findings.is_empty() {
            return Err(findings.into());
        }
    }
    by_hand(&call, Hand::Reschedule(start)).await
}
