//! The states of a task and the one table of allowed transitions (DESIGN §2). `docs/LIFECYCLE.md` is checked against it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant = $code,)* }

        impl $name {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used on the wire and in metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The number used on disk; it never changes its meaning.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this number.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The value with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where a task stands.
    State {
        /// Its time has not come.
        Scheduled = 1 "scheduled",
        /// Parents are not done, or a gate is full.
        Blocked = 2 "blocked",
        /// May start now.
        Queued = 3 "queued",
        /// Leased by a worker.
        Running = 4 "running",
        /// Suspended from inside; the slot was given back.
        Waiting = 5 "waiting",
        /// Failed and waits for its back-off.
        Retrying = 6 "retrying",
        /// Done, with a result.
        Succeeded = 7 "succeeded",
        /// Given up, with a failure.
        Failed = 8 "failed",
        /// Stopped because somebody asked.
        Cancelled = 9 "cancelled",
        /// Its start deadline passed before the first start.
        Expired = 10 "expired",
    }
}

impl State {
    /// Whether only a hand can change it from here.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

words! {
    /// Why a task went from one state to another. Together with the states it *is* the event subscribers see.
    Reason {
        /// A caller submitted it.
        Accepted = 1 "accepted",
        /// Its time came, or its back-off ended.
        Due = 2 "due",
        /// A worker took it.
        Leased = 3 "leased",
        /// The handler returned a result.
        Succeeded = 4 "succeeded",
        /// The attempt failed and attempts are left.
        AttemptFailed = 5 "attempt_failed",
        /// The attempt failed and it was the last.
        AttemptsSpent = 6 "attempts_spent",
        /// The failure said that trying again is useless.
        Permanent = 7 "permanent",
        /// The worker's lease ran out: it died, stalled or lost its way.
        LeaseLost = 8 "lease_lost",
        /// The worker gave it back unrun.
        Released = 9 "released",
        /// The handler asked to be called later.
        Snoozed = 10 "snoozed",
        /// Too many attempts in a row killed their worker.
        CrashLoop = 11 "crash_loop",
        /// The start deadline passed.
        StartDeadline = 12 "start_deadline",
        /// The deadline passed.
        Deadline = 13 "deadline",
        /// Somebody asked for it to be cancelled.
        Cancelled = 14 "cancelled",
        /// Somebody asked for another time.
        Rescheduled = 15 "rescheduled",
        /// A submit with the same unique key took its place.
        Replaced = 16 "replaced",
        /// Somebody asked for it to be tried again.
        Retried = 17 "retried",
        /// Its parents succeeded.
        ParentsSucceeded = 18 "parents_succeeded",
        /// A parent ended otherwise than succeeded.
        ParentFailed = 19 "parent_failed",
        /// A gate let it through.
        GateOpened = 20 "gate_opened",
        /// A gate is full, or its slot went to a more urgent task.
        GateFull = 21 "gate_full",
        /// The handler suspended it.
        Suspended = 22 "suspended",
        /// What it waited for came.
        Woken = 23 "woken",
        /// Its stored payload no longer matches its checksum.
        Damaged = 24 "damaged",
    }
}

/// One line of the table: from any of `from` (`None` is "did not exist") to any of `to`, for any of `reasons`.
#[derive(Debug)]
pub struct Rule {
    /// Where it may come from.
    pub from: &'static [Option<State>],
    /// Where it may go.
    pub to: &'static [State],
    /// What may cause it.
    pub reasons: &'static [Reason],
}

use Reason as R;
use State::{Blocked, Cancelled, Expired, Failed, Queued, Retrying, Running, Scheduled, Succeeded, Waiting};

const UNFINISHED: &[Option<State>] =
    &[Some(Scheduled), Some(Blocked), Some(Queued), Some(Running), Some(Waiting), Some(Retrying)];
const NOT_STARTED: &[Option<State>] = &[Some(Scheduled), Some(Blocked), Some(Queued)];
const OPEN: &[Option<State>] = &[Some(Scheduled), Some(Blocked), Some(Queued), Some(Retrying)];

/// Every transition there is.
pub const TRANSITIONS: &[Rule] = &[
    Rule { from: &[None], to: &[Scheduled, Blocked, Queued], reasons: &[R::Accepted] },
    Rule {
        from: &[Some(Scheduled), Some(Retrying), Some(Waiting)],
        to: &[Queued, Blocked],
        reasons: &[R::Due, R::Woken],
    },
    Rule { from: &[Some(Blocked)], to: &[Scheduled, Queued], reasons: &[R::ParentsSucceeded, R::GateOpened] },
    Rule { from: &[Some(Blocked)], to: &[Failed], reasons: &[R::ParentFailed] },
    Rule { from: &[Some(Queued)], to: &[Running], reasons: &[R::Leased] },
    Rule { from: &[Some(Queued)], to: &[Failed], reasons: &[R::Damaged] },
    Rule { from: NOT_STARTED, to: &[Expired], reasons: &[R::StartDeadline] },
    Rule { from: &[Some(Running)], to: &[Succeeded], reasons: &[R::Succeeded] },
    Rule { from: &[Some(Running)], to: &[Failed], reasons: &[R::AttemptsSpent, R::Permanent, R::CrashLoop] },
    Rule { from: &[Some(Running)], to: &[Retrying], reasons: &[R::AttemptFailed, R::LeaseLost] },
    Rule { from: &[Some(Running)], to: &[Queued, Blocked], reasons: &[R::LeaseLost, R::Released] },
    Rule { from: &[Some(Queued)], to: &[Blocked], reasons: &[R::GateFull] },
    Rule { from: OPEN, to: &[Scheduled, Queued, Blocked], reasons: &[R::Rescheduled, R::Replaced] },
    Rule { from: &[Some(Running)], to: &[Scheduled], reasons: &[R::Snoozed] },
    Rule { from: &[Some(Running)], to: &[Waiting], reasons: &[R::Suspended] },
    Rule { from: UNFINISHED, to: &[Failed], reasons: &[R::Deadline] },
    Rule { from: UNFINISHED, to: &[Cancelled], reasons: &[R::Cancelled] },
    Rule { from: &[Some(Failed), Some(Expired), Some(Cancelled)], to: &[Queued, Blocked], reasons: &[R::Retried] },
];

/// Whether the table allows this transition.
pub fn permits(from: Option<State>, to: State, reason: Reason) -> bool {
    TRANSITIONS.iter().any(|rule| rule.from.contains(&from) && rule.to.contains(&to) && rule.reasons.contains(&reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_task_changes_only_by_a_hand() {
        for &from in State::ALL.iter().filter(|it| it.is_final()) {
            for &to in State::ALL {
                for &reason in Reason::ALL {
                    if permits(Some(from), to, reason) {
                        assert_eq!(reason, Reason::Retried, "{from} -> {to}");
                    }
                }
            }
        }
    }

    #[test]
    fn codes_and_words_lead_back() {
        for &state in State::ALL {
            assert_eq!(State::from_code(state.code()), Some(state));
            assert_eq!(State::from_word(state.as_str()), Some(state));
        }
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }

    #[test]
    fn every_reason_stands_in_the_table() {
        for reason in Reason::ALL {
            assert!(TRANSITIONS.iter().any(|rule| rule.reasons.contains(reason)), "{reason} leads nowhere");
        }
    }
}
