//! Server-sent events (the HTML standard, 9.2), as far as a client of `/v1` reads them.

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use crate::failure::{Exit, Failure};

/// Longest silence: a server says something every few seconds, if only that it is there.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest event that is read.
const EVENT_BYTES: usize = 16 << 20;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// What sort of thing; empty where the server did not say.
    pub(crate) name: String,
    /// JSON.
    pub(crate) data: String,
    /// Where to go on after it.
    pub(crate) id: Option<String>,
}

/// An answer that goes on.
pub(crate) struct Stream {
    answer: Response,
    reader: Reader,
}

impl Stream {
    /// The events of this answer.
    pub(crate) fn new(answer: Response) -> Self {
        Self { answer, reader: Reader::default() }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.reader.event()? {
                return Ok(Some(event));
            }
            let Ok(heard) = timeout(SILENCE, self.answer.chunk()).await else {
                return Err(Failure::new(Exit::Away, "the stream went silent"));
            };
            match heard {
                Ok(Some(piece)) => self.reader.bytes.extend_from_slice(&piece),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::new(Exit::Away, format!("the stream broke: {error}"))),
            }
        }
    }
}

/// Bytes that become events.
#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    event: Event,
    data: bool,
}

impl Reader {
    /// The next whole event among the bytes.
    fn event(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(end) = self.bytes.iter().position(|it| *it == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.data) {
                    return Ok(Some(event));
                }
            } else {
                self.field(line);
            }
        }
        if self.bytes.len() + self.event.data.len() > EVENT_BYTES {
            return Err(Failure::new(Exit::Data, "an event is longer than any a Tasklane server writes"));
        }
        Ok(None)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event.name = value.to_owned(),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, which keeps the connection open, or a wish about reconnecting.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = b": hello\n\nevent: task.queued\r\nid: e1.5\r\ndata: {\"a\":1}\r\n\r\ndata: x\ndata:y\n\nid: 7\n\ndata: cut";
        for size in [1, 3, 1000] {
            let (mut reader, mut events) = (Reader::default(), Vec::new());
            for piece in text.chunks(size) {
                reader.bytes.extend_from_slice(piece);
                while let Some(event) = reader.event().unwrap() {
                    events.push(event);
                }
            }
            let first = Event { name: "task.queued".into(), data: "{\"a\":1}".into(), id: Some("e1.5".into()) };
            assert_eq!(events, [first, Event { data: "x\ny".into(), ..Event::default() }], "{size}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = Reader { bytes: vec![b'x'; EVENT_BYTES + 1], ..Reader::default() };
        assert!(reader.event().is_err());
    }
}
