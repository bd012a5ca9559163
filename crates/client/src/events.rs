//! Following what happens to tasks, and reading what they said.

use std::sync::Arc;

use tasklane_core::task::TaskId;
use tasklane_wire::event::{CrashingShape, EventShape, TYPE_CRASHING};
use tasklane_wire::log::LineShape;
use tasklane_wire::task::{Page, ProgressShape};

use crate::client::Client;
use crate::error::Error;
use crate::follow::Follow;
use crate::transport::segment;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A task moved; the first of a task's own stream, without `from`, says where it stands.
    Moved(EventShape),
    /// Tasks of a type kill their workers; only in the stream of all tasks.
    TypeCrashing(CrashingShape),
    /// A running task says how far it is; only in its own stream.
    Progress(ProgressShape),
    /// A running task says something; only in its own stream.
    Log(LineShape),
    /// The server's event log does not reach back to where this stream was: some events are left out.
    Reset,
}

/// A stream of events. It goes on where it was when its connection breaks, and waits a minute for a server that is away.
#[derive(Debug)]
pub struct Events {
    follow: Follow,
    /// It is of one task, and ends with it.
    ends: bool,
    is_over: bool,
}

impl Events {
    /// The next event; `None`: the task is final and everything was told. Dropped while it waits, nothing is lost.
    ///
    /// # Errors
    /// As the server says, or [`Error::Unreachable`] if it stays away.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        while !self.is_over {
            let Some(frame) = self.follow.next().await? else { break };
            match &*frame.event {
                "progress" => return Ok(Some(Event::Progress(frame.json()?))),
                "log" => return Ok(Some(Event::Log(frame.json()?))),
                "reset" => return Ok(Some(Event::Reset)),
                TYPE_CRASHING => return Ok(Some(Event::TypeCrashing(frame.json()?))),
                name if name.starts_with("task.") => {
                    let event: EventShape = frame.json()?;
                    self.is_over = self.ends && event.to.is_final();
                    return Ok(Some(Event::Moved(event)));
                }
                // A newer server may say more.
                _ => {}
            }
        }
        self.is_over = true;
        Ok(None)
    }
}

/// A stream of log lines, to the end of the task. It goes on where it was when its connection breaks.
#[derive(Debug)]
pub struct LogLines {
    follow: Follow,
    is_over: bool,
}

impl LogLines {
    /// The next line; `None`: the task is final, and this was all. Dropped while it waits, nothing is lost.
    ///
    /// # Errors
    /// As [`Events::next`].
    pub async fn next(&mut self) -> Result<Option<LineShape>, Error> {
        while !self.is_over {
            let Some(frame) = self.follow.next().await? else { break };
            match &*frame.event {
                "log" => return Ok(Some(frame.json()?)),
                "end" => break,
                _ => {}
            }
        }
        self.is_over = true;
        Ok(None)
    }
}

impl Client {
    /// What happens to a task, to its end: where it stands, then transitions, progress and log lines as they come.
    /// Nothing is sent until the first is asked for.
    pub fn events(&self, id: TaskId) -> Events {
        Events { follow: self.follow(format!("/v1/tasks/{id}/events")), ends: true, is_over: false }
    }

    /// What happens to any task from now on; `filter` names parameters of `GET /v1/events` such as `queue` and `state`.
    pub fn all_events(&self, filter: &[(&str, &str)]) -> Events {
        let pairs = filter.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
        let path = format!("/v1/events?{}", pairs.collect::<Vec<_>>().join("&"));
        Events { follow: self.follow(path), ends: false, is_over: false }
    }

    /// Everything a task has said so far.
    ///
    /// # Errors
    /// As [`Client::task`].
    pub async fn logs(&self, id: TaskId) -> Result<Vec<LineShape>, Error> {
        let mut page: Page<LineShape> = self.get(format!("/v1/tasks/{id}/logs?limit=1000")).await?;
        let mut lines = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/tasks/{id}/logs?limit=1000&cursor={}", segment(&cursor))).await?;
            lines.append(&mut page.items);
        }
        Ok(lines)
    }

    /// What a task has said and says, to its end. Nothing is sent until the first line is asked for.
    pub fn follow_logs(&self, id: TaskId) -> LogLines {
        LogLines { follow: self.follow(format!("/v1/tasks/{id}/logs?follow")), is_over: false }
    }

    fn follow(&self, path: String) -> Follow {
        Follow::new(Arc::clone(&self.transport), path)
    }
}
