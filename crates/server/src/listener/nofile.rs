//! Room for as many open files as connections need: most systems hand out 1024 although far more are allowed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors besides connections: files of the store and its readers, the log, the event queue.
const OTHERS: u64 = 128;

/// Raises this process's limit of open files towards what `wanted` connections need, as far as the system allows, and
/// says how many of them there is room for: a connection too many must not keep the store from opening a file.
pub(super) fn room_for(wanted: usize) -> usize {
    let needed = wanted as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|&it| it < needed) else { return wanted };
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    let raising = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    let allowed = if raising.is_ok() { raised } else { current };
    let room = wanted.min(room_within(allowed));
    if room < wanted {
        tracing::warn!(wanted, room, "fewer connections than asked for: the limit of open files is low (ulimit -n)");
    }
    room
}

/// How many connections fit beside the others into `allowed` descriptors; at least half of them.
fn room_within(allowed: u64) -> usize {
    let room = allowed.saturating_sub(OTHERS).max(allowed / 2).max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_others() {
        assert_eq!([60, 200, 1024, 0].map(room_within), [30, 100, 896, 1]);
    }
}
