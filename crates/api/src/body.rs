//! Receives bodies: of a type that is read here, within a size, within a time.

use std::error::Error;
use std::io;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{BODY_TIMEOUT, INCOMPLETE_BODY, PAYLOAD_TOO_LARGE, Refused, UNSUPPORTED_MEDIA_TYPE, too_busy};
use crate::limits;

/// Which bodies a route reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// JSON.
    Json,
    /// JSON, or newline-delimited JSON.
    JsonOrLines,
    /// JSON; nothing at all may be of any type.
    JsonOrNothing,
    /// Anything: a dialect has words of its own for what it does not read.
    Anything,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON value.
    Json,
    /// A JSON value a line.
    Lines,
}

/// A whole body.
#[derive(Debug)]
pub(crate) struct Received {
    pub form: Form,
    pub bytes: Bytes,
    /// Its share of [`limits::BODIES`], given back when it has been answered.
    _share: Option<OwnedSemaphorePermit>,
}

/// How many KiB of large bodies may be held.
pub(crate) fn budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(limits::BODIES >> 10))
}

/// Receives a body.
pub(crate) async fn receive(
    budget: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: Body,
    accepts: Accepts,
    most: usize,
) -> Result<Received, Refused> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let announced = announced.or_else(|| body.size_hint().upper().and_then(|it| usize::try_from(it).ok()));
    if body.is_end_stream() && accepts == Accepts::JsonOrNothing {
        return Ok(Received { form: Form::Json, bytes: Bytes::new(), _share: None });
    }
    let form = form(headers, accepts);
    if form.is_err() && accepts != Accepts::JsonOrNothing {
        return form.map(|form| Received { form, bytes: Bytes::new(), _share: None });
    }
    if announced.is_some_and(|it| it > most) {
        return Err(too_large(most));
    }
    let share = share(budget, announced.unwrap_or(most))?;
    let bytes = collect(body, most).await?;
    // Only now is it known whether there is anything whose type could matter.
    let form = if bytes.is_empty() && accepts == Accepts::JsonOrNothing { Form::Json } else { form? };
    Ok(Received { form, bytes, _share: share })
}

fn form(headers: &HeaderMap, accepts: Accepts) -> Result<Form, Refused> {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*media {
        "application/json" => Ok(Form::Json),
        _ if accepts == Accepts::Anything => Ok(Form::Json),
        "application/x-ndjson" | "application/ndjson" if accepts == Accepts::JsonOrLines => Ok(Form::Lines),
        _ => {
            let wanted = match accepts {
                Accepts::JsonOrLines => "application/json or application/x-ndjson",
                Accepts::Json | Accepts::JsonOrNothing | Accepts::Anything => "application/json",
            };
            Err(Refused::new(UNSUPPORTED_MEDIA_TYPE, format!("send it with Content-Type: {wanted}")))
        }
    }
}

/// A share of the memory for large bodies.
fn share(budget: &Arc<Semaphore>, size: usize) -> Result<Option<OwnedSemaphorePermit>, Refused> {
    if size <= limits::SMALL_BODY {
        return Ok(None);
    }
    let kibibytes = u32::try_from(size.div_ceil(1 << 10)).unwrap_or(u32::MAX);
    Arc::clone(budget).try_acquire_many_owned(kibibytes).map(Some).map_err(|_| too_busy())
}

async fn collect(body: Body, most: usize) -> Result<Bytes, Refused> {
    let time = limits::body_time(most);
    match timeout(time, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(error)) if is_timeout(&*error) => Err(too_slow()),
        Ok(Err(_)) => Err(Refused::new(INCOMPLETE_BODY, "the body ended before it was whole; send it again")),
        Err(_) => Err(too_slow()),
    }
}

fn too_large(most: usize) -> Refused {
    Refused::new(PAYLOAD_TOO_LARGE, format!("the body may have at most {most} bytes"))
}

fn too_slow() -> Refused {
    Refused::new(BODY_TIMEOUT, "the body came too slowly; send it again, faster or in parts")
}

/// Whether an error, or what caused it, is that the caller was silent for too long.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
