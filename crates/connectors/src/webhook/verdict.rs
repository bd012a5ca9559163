//! What becomes of a delivery after the answer.

use http::StatusCode;
use serde_json::json;
use tasklane_core::outcome::{Failure, FailureKind, Outcome, cut};
use tasklane_core::task::Facts;
use tasklane_core::webhook::endpoint::Heard;
use tasklane_core::webhook::timetable;
use tasklane_outbound::{Answer, Error};

use super::EXCERPT_BYTES;

/// How the endpoint took it, and what becomes of the attempt.
pub(super) fn of(answer: Result<Answer, Error>, facts: &Facts) -> (Heard, Outcome) {
    match answer {
        Ok(answer) if answer.status.is_success() => (Heard::Well, arrived(&answer)),
        Ok(answer) if answer.status == StatusCode::GONE => (Heard::Gone, refused(&answer, facts)),
        Ok(answer) => (Heard::Badly, refused(&answer, facts)),
        Err(error) => (Heard::Badly, unheard(&error, facts)),
    }
}

fn arrived(answer: &Answer) -> Outcome {
    Outcome::Succeeded(told(answer).to_string().into())
}

fn refused(answer: &Answer, facts: &Facts) -> Outcome {
    let is_gone = answer.status == StatusCode::GONE;
    let kind = if is_gone { FailureKind::Permanent } else { FailureKind::Error };
    let hint = if answer.status.is_redirection() { "; a redirect is not followed" } else { "" };
    let mut failure = Failure::new(kind, format!("the endpoint answered {}{hint}", answer.status));
    failure.details = Some(told(answer).to_string().into());
    let pause = timetable::pause(facts.spent + 1, facts.id);
    let retry_after = answer.retry_after.map_or(pause, |it| it.max(pause));
    Outcome::Failed { failure, retry_after: Some(retry_after).filter(|_| !is_gone) }
}

fn unheard(error: &Error, facts: &Facts) -> Outcome {
    let kind = match error {
        Error::Timeout(_) => FailureKind::Timeout,
        Error::Invalid(_) => FailureKind::Permanent,
        // A name may lead elsewhere tomorrow, and the operator may allow it.
        Error::Forbidden { .. } | Error::TooLarge(_) | Error::Failed(_) => FailureKind::Error,
    };
    let failure = Failure::new(kind, error.to_string());
    Outcome::Failed { failure, retry_after: Some(timetable::pause(facts.spent + 1, facts.id)) }
}

/// The status and the beginning of the body, for people.
fn told(answer: &Answer) -> serde_json::Value {
    let excerpt = String::from_utf8_lossy(&answer.body).into_owned();
    json!({ "status": answer.status.as_u16(), "body": cut(excerpt, EXCERPT_BYTES) })
}
