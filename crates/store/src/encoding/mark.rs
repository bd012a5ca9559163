//! How an attempt was settled: the numbers of state and reason, zeros where it was not.

use tasklane_core::settle::Mark;
use tasklane_core::state::{Reason, State};

/// The bytes of a mark.
pub(crate) fn bytes(mark: Option<Mark>) -> [u8; 2] {
    mark.map_or([0, 0], |mark| [mark.to.code(), mark.reason.code()])
}

/// The mark of these bytes.
pub(crate) fn read([to, reason]: [u8; 2]) -> Option<Mark> {
    Some(Mark { to: State::from_code(to)?, reason: Reason::from_code(reason)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_back() {
        for to in State::ALL {
            for reason in Reason::ALL {
                let mark = Some(Mark { to: *to, reason: *reason });
                assert_eq!(read(bytes(mark)), mark);
            }
        }
        assert_eq!((bytes(None), read([0, 0]), read([7, 255])), ([0, 0], None, None));
    }
}
