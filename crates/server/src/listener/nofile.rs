//! Room for as many open files as connections need: most systems hand out 1024 although far more are allowed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors besides connections: files of the store, the log, the event queue.
const OTHERS: u64 = 256;

/// Raises this process's limit of open files towards what `connections` need, as far as the system allows.
pub(super) fn raise(connections: usize) {
    let needed = connections as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|&it| it < needed) else { return };
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    let wanted = Rlimit { current: Some(raised), maximum: limit.maximum };
    if setrlimit(Resource::Nofile, wanted).is_err() || raised < needed {
        let allowed = if raised < needed { raised } else { current };
        tracing::warn!(allowed, needed, "the limit of open files is below the limit of connections (ulimit -n)");
    }
}
