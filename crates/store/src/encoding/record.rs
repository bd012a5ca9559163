//! Records and slots of schedules as both databases keep them.

use tasklane_core::record::Kind;
use tasklane_core::schedule::Came;
use tasklane_core::task::TaskId;
use uuid::Uuid;

use super::{Damaged, Result};

/// The number of a kind.
pub(crate) const fn kind_code(kind: Kind) -> i16 {
    match kind {
        Kind::Key => 1,
        Kind::Schedule => 2,
        Kind::Endpoint => 3,
        Kind::Audit => 4,
    }
}

/// The columns of what a slot came to: a number, and the task.
pub(crate) fn came_columns(came: Came) -> (i16, Option<Uuid>) {
    match came {
        Came::Made(task) => (1, Some(task.0)),
        Came::Missed => (2, None),
        Came::Overlapped => (3, None),
        Came::Refused => (4, None),
    }
}

/// What a slot with these [`came_columns`] came to.
pub(crate) fn came(code: i16, task: Option<Uuid>) -> Result<Came> {
    match (code, task) {
        (1, Some(task)) => Ok(Came::Made(TaskId(task))),
        (2, None) => Ok(Came::Missed),
        (3, None) => Ok(Came::Overlapped),
        (4, None) => Ok(Came::Refused),
        _ => Err(Damaged::new("a slot that came to nothing known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_and_what_slots_came_to_leads_back() {
        let mut codes = Kind::ALL.map(kind_code).to_vec();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        for one in [Came::Made(TaskId(Uuid::from_u128(7))), Came::Missed, Came::Overlapped, Came::Refused] {
            let (code, task) = came_columns(one);
            assert_eq!(came(code, task).ok(), Some(one));
        }
        assert!(came(1, None).is_err() && came(5, None).is_err());
    }
}
