//! Rules that a test can have broken, to see that whoever checks them notices. A check counts once it was seen red: each
//! value names a place in the product where its rule is kept. Without the cargo feature `sabotage`, which only tests
//! switch on, every place asks a constant, and nothing of this is in the program.

/// A rule to be broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A write under a lease is not held against the lease.
    BrokenFence,
    /// A submit is answered before it is kept.
    EarlyAnswer,
    /// Workers that wait are not told of work.
    LostWake,
    /// Leases run out while nobody could renew them.
    RescueWithoutGrace,
    /// What leaves `running` keeps its slots.
    KeptSlot,
    /// Tasks start though a gate of theirs is full.
    UncountedGate,
    /// Nobody is told that a gate has room again.
    DeafGate,
}

impl Sabotage {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::BrokenFence,
        Self::EarlyAnswer,
        Self::LostWake,
        Self::RescueWithoutGrace,
        Self::KeptSlot,
        Self::UncountedGate,
        Self::DeafGate,
    ];
}

/// Whether this rule is broken, on this thread.
#[cfg(not(feature = "sabotage"))]
pub const fn is(_rule: Sabotage) -> bool {
    false
}

#[cfg(feature = "sabotage")]
pub use switch::{choose, is};

#[cfg(feature = "sabotage")]
mod switch {
    use std::cell::Cell;
    use std::hint::black_box;

    use super::Sabotage;

    thread_local! {
        static CHOSEN: Cell<Option<Sabotage>> = const { Cell::new(None) };
    }

    /// Whether this rule is broken, on this thread.
    pub fn is(rule: Sabotage) -> bool {
        CHOSEN.get().is_some_and(|chosen| black_box(chosen.word()) == black_box(rule.word()))
    }

    /// From now on this rule is broken on this thread, and no other.
    pub fn choose(rule: Option<Sabotage>) {
        CHOSEN.set(rule);
    }

    impl Sabotage {
        /// A word that stands in no program but those of such tests: whoever looks for it finds the feature, as rules are
        /// told from each other by nothing else.
        pub fn word(self) -> &'static str {
            match self {
                Self::BrokenFence => "sabotage-of-broken-fence",
                Self::EarlyAnswer => "sabotage-of-early-answer",
                Self::LostWake => "sabotage-of-lost-wake",
                Self::RescueWithoutGrace => "sabotage-of-rescue-without-grace",
                Self::KeptSlot => "sabotage-of-kept-slot",
                Self::UncountedGate => "sabotage-of-uncounted-gate",
                Self::DeafGate => "sabotage-of-deaf-gate",
            }
        }
    }
}
