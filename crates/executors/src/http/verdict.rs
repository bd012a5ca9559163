//! What becomes of an attempt after the answer.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
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
        status if status.is_success() => result(&answer),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => refused(&answer, FailureKind::Error),
        status if status.is_server_error() => refused(&answer, FailureKind::Error),
        _ => refused(&answer, FailureKind::Permanent),
    }
}

/// JSON as it is, if every program can read it: read once whole, which refuses numbers without end, halves of characters
/// and depths beyond 128. What does not claim to be JSON may be a text.
fn result(answer: &Answer) -> Outcome {
    let body = &answer.body;
    if body.is_empty() {
        return Outcome::Succeeded(Bytes::from_static(b"null"));
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(_) => return Outcome::Succeeded(Bytes::copy_from_slice(body.trim_ascii())),
        Err(error) if claims_json(answer) => {
            let message = format!("the answer says that it is JSON and is not: {error}");
            return Outcome::failed(FailureKind::Permanent, message);
        }
        Err(_) => {}
    }
    match std::str::from_utf8(body).map(serde_json::to_vec) {
        Ok(Ok(text)) => Outcome::Succeeded(text.into()),
        _ => Outcome::failed(FailureKind::Permanent, "the answer is neither JSON nor text"),
    }
}

fn claims_json(answer: &Answer) -> bool {
    let media_type = answer.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn refused(answer: &Answer, kind: FailureKind) -> Outcome {
    let mut failure = Failure::new(kind, format!("the target answered {}", answer.status));
    let excerpt = String::from_utf8_lossy(&answer.body[..answer.body.len().min(EXCERPT_BYTES)]).into_owned();
    let details = serde_json::json!({ "status": answer.status.as_u16(), "body": cut(excerpt, EXCERPT_BYTES) });
    failure.details = Some(details.to_string().into());
    Outcome::Failed { failure, retry_after: answer.retry_after }
}
