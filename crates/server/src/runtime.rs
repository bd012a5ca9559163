//! The async runtime, sized for a server that is idle most of the day.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Stack of a worker thread in bytes; the deepest call is the JSON validator at 128 levels, which does not recurse far.
pub const STACK_BYTES: usize = 1 << 20;
/// Most threads for blocking calls (reads of the store, files).
pub const BLOCKING_THREADS: usize = 64;

/// The runtime of a server: a worker thread a core, but for the one that the store's writer has to itself. One more is
/// woken by every spawn only to find nothing to steal: on two cores it cost a sixth of the tasks a second.
///
/// # Errors
/// The system gave no threads or no event queue.
pub fn server() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .thread_name("tasklane")
        .enable_all()
        .build()
}

/// The runtime of a command that talks to a server: the calling thread and nothing more.
///
/// # Errors
/// The system gave no event queue.
pub fn command() -> io::Result<Runtime> {
    Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()
}
