//! What becomes of an attempt after the answer.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tasklane_core::outcome::{Failure, FailureKind, Outcome, cut};
use tasklane_outbound::{Answer, Error};

/// Bytes of a refusing body that are kept, for people.
const EXCERPT_BYTES: usize = 2 << 10;

pub(super) fn of_error(error: Error) -> Outcome {
    let kind = match error {
        Error::Timeout(_) => FailureKind::Timeout,
        Error::Forbidden { .. } | Error::Invalid(_) | Error::TooLarge(_) => FailureKind::Permanent,
        Error::Failed(_) => FailureKind::Error,
    };
    Outcome::failed(kind, error.to_string())
}

pub(super) fn of_answer(answer: Answer) -> Outcome {
    match answer.status {
        status if status.is_success() => result(&answer.body),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => refused(&answer, FailureKind::Error),
        status if status.is_server_error() => refused(&answer, FailureKind::Error),
        _ => refused(&answer, FailureKind::Permanent),
    }
}

/// JSON as it is, if every program can read it: read once whole, which refuses numbers without end, halves of characters
/// and depths beyond 128.
fn result(body: &Bytes) -> Outcome {
    if body.is_empty() {
        return Outcome::Succeeded(Bytes::from_static(b"null"));
    }
    if serde_json::from_slice::<Value>(body).is_ok() {
        return Outcome::Succeeded(Bytes::copy_from_slice(body.trim_ascii()));
    }
    match std::str::from_utf8(body).map(serde_json::to_vec) {
        Ok(Ok(text)) => Outcome::Succeeded(text.into()),
        _ => Outcome::failed(FailureKind::Permanent, "the answer is neither JSON nor text"),
    }
}

fn refused(answer: &Answer, kind: FailureKind) -> Outcome {
    let mut failure = Failure::new(kind, format!("the target answered {}", answer.status));
    let excerpt = String::from_utf8_lossy(&answer.body[..answer.body.len().min(EXCERPT_BYTES)]).into_owned();
    let details = serde_json::json!({ "status": answer.status.as_u16(), "body": cut(excerpt, EXCERPT_BYTES) });
    failure.details = Some(details.to_string().into());
    Outcome::Failed { failure, retry_after: answer.retry_after }
}
