//! Server-sent events (WHATWG HTML, "Server-sent events"): a stream of the engine as the body of an answer.
//!
//! A piece is made when the connection has taken the one before, so a slow reader costs one piece of memory and reads
//! later. A connection that ends ends the stream, and so does the server when it stops.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use tasklane_core::error::StoreError;
use tasklane_core::event::{Cursor, Position};
use tasklane_core::log::LineId;
use tasklane_core::ports::BoxFuture;
use tasklane_core::task::TaskId;
use tasklane_engine::{EventStream, Said, StreamError, TaskStream};
use tasklane_wire::json::Object;
use tasklane_wire::{event, log};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::{Refused, TOO_MANY_STREAMS, task_not_found};

/// How often a stream that has nothing to tell says that it is still there.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
const STILL_HERE: &str = ": still here\n\n";
/// When a reader whose connection broke is to come again, in milliseconds.
const COME_AGAIN: &str = "retry: 1000\n\n";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What is streamed.
pub(crate) enum Stream {
    /// What happens to any task.
    Events(Box<EventStream>),
    /// What happens to one task.
    Task(TaskId, Box<TaskStream>),
    /// The log of one task.
    Log(Box<TaskStream>),
}

impl Stream {
    pub async fn next(&mut self) -> Result<Option<Vec<Said>>, StoreError> {
        match self {
            Self::Events(stream) => stream.next().await,
            Self::Task(_, stream) | Self::Log(stream) => stream.next().await,
        }
    }

    /// The answer, which begins with `first` and ends with `ended`: its reader comes again, and is asked for a key that holds.
    pub fn answer(self, first: Vec<Said>, ended: BoxFuture<'static, ()>) -> Response {
        let (pieces, taken) = mpsc::channel(1);
        let mut begin = COME_AGAIN.as_bytes().to_vec();
        self.write(&mut begin, &first);
        tokio::spawn(async move {
            tokio::select! {
                () = self.carry(begin.into(), pieces) => {}
                () = ended => {}
            }
        });
        let mut response = Response::new(Body::new(Pieces(taken)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Proxies that gather answers would hold events back.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }

    /// Carries pieces to the connection until one of both ends.
    async fn carry(mut self, first: Bytes, pieces: mpsc::Sender<Bytes>) {
        let mut piece = first;
        while pieces.send(piece).await.is_ok() {
            let said = tokio::select! {
                said = timeout(HEARTBEAT, self.next()) => said,
                () = pieces.closed() => return,
            };
            piece = match said {
                Err(_) => Bytes::from_static(STILL_HERE.as_bytes()),
                Ok(Ok(Some(said))) => {
                    let mut out = Vec::with_capacity(256 * said.len());
                    self.write(&mut out, &said);
                    out.into()
                }
                Ok(Ok(None)) => return,
                Ok(Err(error)) => return tracing::warn!(%error, "a stream ends early; its reader will come again"),
            };
        }
    }

    fn write(&self, out: &mut Vec<u8>, said: &[Said]) {
        said.iter().for_each(|it| self.write_one(out, it));
    }

    fn write_one(&self, out: &mut Vec<u8>, said: &Said) {
        match said {
            Said::Moved(at, it) => {
                frame(out, Some(event::encode(*at)), &format!("task.{}", it.to), |data| event::write(data, it));
            }
            Said::Crashing(at, it) => {
                frame(out, Some(event::encode(*at)), event::TYPE_CRASHING, |data| event::write_crashing(data, it));
            }
            Said::Progress(it) => {
                let Self::Task(id, _) = self else { return };
                frame(out, None, "progress", |data| event::write_progress(data, *id, it));
            }
            Said::Line(at, line) => {
                let id = if matches!(self, Self::Log(_)) { log::encode(line.id) } else { event::encode(*at) };
                frame(out, Some(id), "log", |data| log::write(data, line));
            }
            Said::Reset(at) => frame(out, Some(event::encode(*at)), "reset", |data| {
                let mut object = Object::begin(data);
                object.string(
                    "detail",
                    "the event log does not reach back to where was asked for; some events are left out",
                );
                object.end();
            }),
            Said::End(state) => frame(out, None, "end", |data| {
                let mut object = Object::begin(data);
                object.word("state", state.as_str());
                object.end();
            }),
        }
    }
}

/// Appends one event.
fn frame(out: &mut Vec<u8>, id: Option<String>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    let start = out.len();
    write(out);
    // In JSON a bare line end is white space between tokens; in an event it would end the data.
    out[start..].iter_mut().filter(|it| matches!(**it, b'\n' | b'\r')).for_each(|it| *it = b' ');
    out.extend_from_slice(b"\n\n");
}

/// A body of pieces as they come.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Where a reader that comes again goes on. What is no id of ours is behind the end of the log, which resets the stream.
pub(crate) fn last_event(headers: &HeaderMap) -> Option<Cursor> {
    let lost = Cursor { position: Position(i64::MAX as u64), ..Cursor::default() };
    last_id(headers).map(|id| event::decode(id).unwrap_or(lost))
}

/// The last line that a reader which comes again saw; what is no id of ours means from the beginning.
pub(crate) fn last_line(headers: &HeaderMap) -> Option<LineId> {
    last_id(headers).and_then(log::decode)
}

fn last_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID).and_then(|it| it.to_str().ok()).filter(|it| !it.is_empty())
}

impl From<StreamError> for Refused {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::NotFound => task_not_found(),
            StreamError::Store(error) => error.into(),
            StreamError::TooMany { limit } => {
                let detail = format!("{error}; close one, or read pages instead");
                Self::new(TOO_MANY_STREAMS, detail).quota("streams", limit, 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_is_never_torn_by_its_data() {
        let mut out = Vec::new();
        frame(&mut out, Some("e1.5".into()), "progress", |data| data.extend_from_slice(b"{\"a\":\n\r1}"));
        assert_eq!(String::from_utf8(out).unwrap(), "id: e1.5\nevent: progress\ndata: {\"a\":  1}\n\n");
    }
}
