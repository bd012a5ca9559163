//! Streams: what happens, told as it happens. A stream keeps its place and no events: whoever reads slowly reads later,
//! from the log.

mod events;
mod reader;
mod task;

use tasklane_core::event::{Cursor, Transition};
use tasklane_core::log::LogLine;
use tasklane_core::quarantine::Crashing;
use tasklane_core::state::State;
use tasklane_core::task::Progress;

pub use events::EventStream;
pub(crate) use reader::read_log;
pub use task::{Following, TaskStream};

/// Something a stream tells. With the cursor of what was told last, another stream goes on from there.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A task moved; the first of a task's own stream, without `from`, says where it stands.
    Moved(Cursor, Transition),
    /// The next event tells that a type is crashing.
    Crashing(Cursor, Crashing),
    /// A running task says how far it is.
    Progress(Progress),
    /// A running task says something.
    Line(Cursor, LogLine),
    /// The event log does not reach back to where was asked for, or reading it would take too long: something is left out.
    Reset(Cursor),
    /// A task's log is complete: the task is final.
    End(State),
}
