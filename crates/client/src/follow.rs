//! Reads server-sent events, and comes again where a connection breaks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::tasks::is_away;
use crate::transport::Transport;

/// A server says every 15 seconds that it is still there; a connection that is silent for this long is broken.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after a connection broke the next one begins.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest event.
const FRAME_BYTES: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Frame {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.data).map_err(|error| Error::Answer(format!("event {}: {error}", self.event)))
    }
}

/// A stream of events that goes on where it was when its connection breaks.
#[derive(Debug)]
pub(crate) struct Follow {
    transport: Arc<Transport>,
    path: String,
    last_id: Option<String>,
    connection: Option<reqwest::Response>,
    parser: Parser,
    ready: VecDeque<Frame>,
    away_since: Option<Instant>,
}

impl Follow {
    /// Nothing is sent until the first event is asked for.
    pub(crate) fn new(transport: Arc<Transport>, path: String) -> Self {
        let (parser, ready) = (Parser::default(), VecDeque::new());
        Self { transport, path, last_id: None, connection: None, parser, ready, away_since: None }
    }

    /// The next event; `None`: the server has nothing more to say. Dropped while it waits, nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            match self.receive().await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => self.wait(error).await?,
            }
        }
    }

    /// Takes in a piece; `false`: there will be none.
    async fn receive(&mut self) -> Result<bool, Error> {
        if self.connection.is_none() {
            let response = self.transport.stream(&self.path, self.last_id.as_deref()).await?;
            if response.status() == StatusCode::NO_CONTENT {
                return Ok(false);
            }
            self.parser = Parser::default();
            self.connection = Some(response);
        }
        let Some(connection) = &mut self.connection else { return Ok(true) };
        let piece = match tokio::time::timeout(SILENCE, connection.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            ended => {
                let cause = match ended {
                    Ok(Ok(_)) => "the server ended the stream".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "the server is silent".to_owned(),
                };
                self.connection = None;
                return Err(Error::Unreachable { url: self.transport.url().into(), cause });
            }
        };
        self.away_since = None;
        let (frames, last_id) = (&mut self.ready, &mut self.last_id);
        self.parser.feed(&piece, |id, frame| {
            if let Some(id) = id {
                *last_id = Some(id);
            }
            frames.push_back(frame);
        })?;
        Ok(true)
    }

    /// Lets some time pass before the next connection, unless there is no hope.
    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if !is_away(&error) || since.elapsed() >= PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// Cuts bytes into events (WHATWG HTML, "Interpreting an event stream").
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    id: Option<String>,
    event: String,
    data: Vec<String>,
}

impl Parser {
    fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Option<String>, Frame)) -> Result<(), Error> {
        self.buffer.extend_from_slice(piece);
        let mut start = 0;
        while let Some(length) = self.buffer[start..].iter().position(|it| *it == b'\n') {
            let line = String::from_utf8_lossy(&self.buffer[start..start + length]).into_owned();
            start += length + 1;
            self.line(line.trim_end_matches('\r'), &mut each);
        }
        self.buffer.drain(..start);
        if self.buffer.len() + self.data.iter().map(String::len).sum::<usize>() > FRAME_BYTES {
            return Err(Error::Answer(format!("an event has over {FRAME_BYTES} bytes")));
        }
        Ok(())
    }

    fn line(&mut self, line: &str, each: &mut impl FnMut(Option<String>, Frame)) {
        if line.is_empty() {
            let (id, event) = (self.id.take(), std::mem::take(&mut self.event));
            let data = std::mem::take(&mut self.data).join("\n");
            if !data.is_empty() || !event.is_empty() {
                each(id, Frame { event, data });
            }
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name {
            "id" => self.id = Some(value),
            "event" => self.event = value,
            "data" => self.data.push(value),
            // Comments, and `retry`: how long to wait is known here.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_cut_wherever_the_pieces_are() {
        let text = "retry: 1000\n\n: still here\n\nid: e1.5\nevent: task.queued\ndata: {\"a\":1}\n\nevent: end\r\ndata: x\r\ndata: y\r\n\r\nid: no";
        for size in 1..text.len() {
            let (mut parser, mut seen) = (Parser::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                parser.feed(piece, |id, frame| seen.push((id, frame.event, frame.data))).unwrap();
            }
            let first = (Some("e1.5".to_owned()), "task.queued".to_owned(), "{\"a\":1}".to_owned());
            assert_eq!(seen, [first, (None, "end".to_owned(), "x\ny".to_owned())], "{size}");
        }
    }
}
