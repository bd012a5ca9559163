//! What a server remembers of gates that were full when they were last asked for: those whose rooms are asked of the database.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use tasklane_core::time::Timestamp;

use super::strands::GateNo;

/// How long a gate is thought full that nobody said has room.
const FULL_FOR: Duration = Duration::from_secs(1);

/// Which gates were full when they were last counted. A gate that was told to have room since is not thought full by a count
/// that was made before.
#[derive(Default)]
pub(crate) struct Fullness {
    words: u64,
    forgotten_at: u64,
    gates: HashMap<GateNo, Known, RandomState>,
}

#[derive(Default)]
struct Known {
    opened_at: u64,
    full: Option<Full>,
}

/// A gate was full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Full {
    pub gate: GateNo,
    /// [`Fullness::word`] from before it was counted.
    pub word: u64,
    /// When its rate lets the next task start, if that is what it waits for.
    pub opens_at: Option<Timestamp>,
    until: Duration,
}

impl Full {
    /// As counted `now`, by a clock that does not go back.
    pub(crate) fn counted(gate: GateNo, word: u64, opens_at: Option<Timestamp>, now: Duration) -> Self {
        Self { gate, word, opens_at, until: now + FULL_FOR }
    }
}

impl Fullness {
    /// The last that was heard of any gate.
    pub(crate) fn word(&self) -> u64 {
        self.words
    }

    /// Whether it was full and nothing says that it no longer is.
    pub(crate) fn is_full(&self, gate: GateNo, at: Timestamp, now: Duration) -> bool {
        let full = self.gates.get(&gate).and_then(|it| it.full);
        full.is_some_and(|it| now < it.until && it.opens_at.is_none_or(|opens| at < opens))
    }

    /// It was counted and is full.
    pub(crate) fn fill(&mut self, full: Full) {
        let known = self.gates.entry(full.gate).or_default();
        if full.word >= known.opened_at.max(self.forgotten_at) {
            known.full = Some(full);
        }
    }

    /// It may have room.
    pub(crate) fn open(&mut self, gate: GateNo) {
        self.words += 1;
        *self.gates.entry(gate).or_default() = Known { opened_at: self.words, full: None };
    }

    /// Any gate may have room.
    pub(crate) fn forget(&mut self) {
        self.words += 1;
        self.forgotten_at = self.words;
        self.gates.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: GateNo = GateNo(7);

    fn at(millis: u64) -> (Timestamp, Duration) {
        let since = Duration::from_millis(millis);
        (Timestamp::EPOCH.plus(since), since)
    }

    fn full_at(fullness: &Fullness, millis: u64) -> bool {
        let (at, now) = at(millis);
        fullness.is_full(GATE, at, now)
    }

    #[test]
    fn a_full_gate_is_full_until_it_is_told_to_have_room_or_for_a_while() {
        let mut fullness = Fullness::default();
        assert!(!full_at(&fullness, 0));
        fullness.fill(Full::counted(GATE, fullness.word(), None, at(5).1));
        assert_eq!([5, 1004, 1005].map(|it| full_at(&fullness, it)), [true, true, false]);
        fullness.open(GATE);
        assert!(!full_at(&fullness, 5));
        fullness.fill(Full::counted(GATE, fullness.word(), Some(at(50).0), at(5).1));
        assert_eq!([49, 50].map(|it| full_at(&fullness, it)), [true, false]);
        fullness.forget();
        assert!(!full_at(&fullness, 5));
    }

    #[test]
    fn a_count_from_before_it_got_room_says_nothing() {
        let mut fullness = Fullness::default();
        let before = fullness.word();
        fullness.open(GATE);
        fullness.fill(Full::counted(GATE, before, None, at(0).1));
        assert!(!full_at(&fullness, 0));
        let before = fullness.word();
        fullness.forget();
        fullness.fill(Full::counted(GATE, before, None, at(0).1));
        assert!(!full_at(&fullness, 0));
    }
}
