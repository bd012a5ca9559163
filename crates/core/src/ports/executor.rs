//! The code inside a worker that does one kind of work.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::lease::Leased;
use crate::log::Level;
use crate::outcome::Outcome;
use crate::ports::BoxFuture;
use crate::task::Progress;

/// Does the work of some types.
pub trait Executor: Send + Sync + 'static {
    /// The types it handles. `*` as the only one: every type.
    fn types(&self) -> Vec<Box<str>>;

    /// Runs one attempt to its outcome. Dropping the future stops it; before that the context's
    /// [`Context::cancelled`] tells it to stop by itself.
    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome>;
}

/// What a running attempt may say and ask.
pub trait Context: Send + Sync + 'static {
    /// Says how far it is; also a sign of life for `heartbeat_timeout`.
    fn progress(&self, progress: Progress);

    /// Says a line for the task's log; `fields` is a JSON object. A context that keeps no log drops it.
    fn log(&self, _level: Level, _message: String, _fields: Option<Box<str>>) {}

    /// Puts something aside for the next attempt, should there be one. A context that keeps none drops it.
    fn checkpoint(&self, _checkpoint: Checkpoint) {}

    /// Ends when the attempt is to stop: somebody asked for it, or its lease is lost.
    fn cancelled(&self) -> BoxFuture<'static, ()>;
}
