//! A task: as it is asked for, and as it is read.

mod accept;
mod answer;
mod failure;
mod new;
mod read_new;
mod retry;
mod shape;
mod write_new;

pub use accept::{DEFAULT_QUEUE, Lanes};
pub(crate) use answer::{labels, moment, progress_members};
pub use answer::{write, write_accepted, write_attempt};
pub use failure::FailureShape;
pub use new::{NewTask, UniqueShape};
pub use read_new::read_start;
pub use shape::{AcceptedShape, AttemptShape, BatchShape, NamedGate, Page, ProgressShape, ReasonShape, Task, Why};
