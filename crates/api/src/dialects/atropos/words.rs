//! Its words for states, and what they stand for here.

use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;

use State::{Blocked, Cancelled, Expired, Failed, Queued, Retrying, Running, Scheduled, Succeeded, Waiting};

/// Each word with its states.
const STATUSES: [(&str, &[State]); 4] = [
    ("pending", &[Scheduled, Blocked, Queued, Retrying]),
    ("processing", &[Running, Waiting]),
    ("completed", &[Succeeded]),
    ("failed", &[Failed, Cancelled, Expired]),
];

/// The types it knows by name; they keep it whether or not anybody serves them now.
pub(super) const TYPES: [&str; 4] = ["data_processing", "report_generation", "video_processing", "default"];

/// The word for a state.
pub(super) fn status(state: State) -> &'static str {
    STATUSES.iter().find(|it| it.1.contains(&state)).map_or("pending", |it| it.0)
}

/// The states a word stands for.
pub(super) fn states(word: &str) -> Option<&'static [State]> {
    STATUSES.iter().find(|it| it.0 == word).map(|it| it.1)
}

/// How many stand in these states, and how many of them are deleted; in any state where there are none.
pub(super) fn count(counts: &Counts, states: &[State]) -> (u64, u64) {
    let fits = |it: &Counted| states.is_empty() || states.contains(&it.state());
    Counted::all().filter(fits).fold((0, 0), |(shown, deleted), it| match it {
        Counted::In(_) => (shown + counts.of(it), deleted),
        Counted::Deleted(_) => (shown, deleted + counts.of(it)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_one_word() {
        for state in State::ALL {
            assert_eq!(STATUSES.iter().filter(|it| it.1.contains(state)).count(), 1, "{state}");
            assert!(states(status(*state)).is_some_and(|it| it.contains(state)));
        }
        assert_eq!(states("deleted"), None);
    }

    #[test]
    fn counts_add_up() {
        let mut counts = Counts::default();
        for (counted, number) in Counted::all().zip(1..) {
            counts.add(counted, number);
        }
        assert_eq!(count(&counts, &[]), (55, 11 + 12 + 13 + 14));
        assert_eq!(count(&counts, states("failed").unwrap_or_default()), (8 + 9 + 10, 12 + 13 + 14));
        assert_eq!(count(&counts, states("pending").unwrap_or_default()), (1 + 2 + 3 + 6, 0));
    }
}
