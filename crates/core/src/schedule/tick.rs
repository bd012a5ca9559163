//! What becomes of slots that have come.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::timetable::Timetable;
use super::{CatchUp, Missed, Overlap, ScheduleId};
use crate::time::Timestamp;

/// A slot that is dealt with so soon after it came was not missed.
pub const LATE: Duration = Duration::from_secs(60);

/// Slots that have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Those that are to make a task, in their order.
    pub slots: Vec<Timestamp>,
    /// The first and the last of those that were missed, of which some may be among `slots`.
    pub missed: Option<(Timestamp, Timestamp)>,
    /// The next that comes.
    pub next: Option<Timestamp>,
}

/// What has come of a timetable from the slot `next` on, and is to be dealt with.
pub fn due(timetable: &Timetable, next: Timestamp, missed: Missed, now: Timestamp) -> Due {
    let before_next = next.minus(Duration::from_micros(1));
    let late = now.minus(LATE).max(before_next);
    let mut slots = caught_up(timetable, before_next.max(now.minus(missed.window)), late, missed);
    let last_missed = timetable.last(before_next, late);
    let mut at = late;
    while let Some(slot) = timetable.next(at).filter(|it| *it <= now) {
        slots.push(slot);
        at = slot;
    }
    Due { slots, missed: last_missed.map(|last| (next, last)), next: timetable.next(now) }
}

/// Missed slots after one moment and up to another that make their tasks all the same.
fn caught_up(timetable: &Timetable, after: Timestamp, until: Timestamp, missed: Missed) -> Vec<Timestamp> {
    let most = match missed.policy {
        CatchUp::None => 0,
        CatchUp::One => 1,
        CatchUp::All => missed.cap,
    };
    let (mut slots, mut until) = (Vec::new(), until);
    while let Some(slot) = timetable.last(after, until).filter(|_| slots.len() < most as usize) {
        slots.push(slot);
        until = slot.minus(Duration::from_micros(1));
    }
    slots.reverse();
    slots
}

/// How many more tasks a slot may make while so many of earlier slots are not finished.
pub fn has_room(overlap: Overlap, unfinished: usize) -> bool {
    match overlap {
        Overlap::Allow | Overlap::Replace => true,
        Overlap::Skip => unfinished == 0,
        Overlap::QueueOne => unfinished < 2,
    }
}

/// When the task of a slot starts: up to `jitter` after it, the same whoever asks.
pub fn start(schedule: ScheduleId, slot: Timestamp, jitter: Duration) -> Timestamp {
    let drawn = xxh3_64_with_seed(&slot.as_micros().to_le_bytes(), schedule.0.as_u64_pair().1);
    let share = u128::from(drawn) * jitter.as_micros() >> 64;
    slot.plus(Duration::from_micros(u64::try_from(share).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::When;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// Each minute from 60 on.
    fn each_minute() -> Timetable {
        Timetable::new(&When::Every(MINUTE), at(0), None, None).unwrap()
    }

    fn missed(policy: CatchUp) -> Missed {
        Missed { policy, cap: 3, window: 10 * MINUTE }
    }

    #[test]
    fn what_is_a_little_late_was_not_missed() {
        let each_second = Timetable::new(&When::Every(Duration::from_secs(1)), at(0), None, None).unwrap();
        let due = due(&each_second, at(10), missed(CatchUp::None), at(69));
        assert_eq!((due.slots, due.missed, due.next), ((10..=69).map(at).collect(), None, Some(at(70))));
    }

    #[test]
    fn what_was_missed_is_caught_up_with_as_was_asked() {
        let of = |policy, now| due(&each_minute(), at(60), missed(policy), at(now));
        for (policy, now, slots, last) in [
            (CatchUp::None, 310, vec![300], 240),
            (CatchUp::One, 310, vec![240, 300], 240),
            (CatchUp::All, 310, vec![120, 180, 240, 300], 240),
            (CatchUp::All, 200, vec![60, 120, 180], 120),
        ] {
            let found = of(policy, now);
            assert_eq!(found.slots, slots.into_iter().map(at).collect::<Vec<_>>(), "{policy:?} {now}");
            assert_eq!(found.missed, Some((at(60), at(last))), "{policy:?} {now}");
        }
        // What is older than the window makes nothing.
        let hourly = Timetable::new(&When::Every(60 * MINUTE), at(0), None, None).unwrap();
        let found = due(&hourly, at(3600), missed(CatchUp::All), at(3600 + 601));
        assert_eq!((found.slots, found.missed), (vec![], Some((at(3600), at(3600)))));
    }

    #[test]
    fn a_slot_starts_within_its_jitter_and_always_at_the_same_time() {
        let id = ScheduleId(Uuid::from_u128(7));
        let starts: Vec<_> = (0..100).map(|n| start(id, at(n * 60), MINUTE).since(at(n * 60))).collect();
        assert!(starts.iter().all(|it| *it < MINUTE));
        assert!(starts.iter().max().unwrap().saturating_sub(*starts.iter().min().unwrap()) > MINUTE / 2);
        assert_eq!(start(id, at(60), MINUTE), start(id, at(60), MINUTE));
        assert_eq!(start(id, at(60), Duration::ZERO), at(60));
    }

    #[test]
    fn who_overlaps() {
        let all = [Overlap::Allow, Overlap::Replace, Overlap::Skip, Overlap::QueueOne];
        let rooms = |unfinished| all.map(|it| has_room(it, unfinished));
        assert_eq!(rooms(0), [true; 4]);
        assert_eq!(rooms(1), [true, true, false, true]);
        assert_eq!(rooms(2), [true, true, false, false]);
    }

    proptest! {
        /// However often and late somebody looks: each slot makes one task, or was missed.
        #[test]
        fn each_slot_comes_once(looks in prop::collection::vec(1_i64..400, 1..40), every in 1_u64..90) {
            let timetable = Timetable::new(&When::Every(Duration::from_secs(every)), at(0), None, None).unwrap();
            let all = Missed { policy: CatchUp::All, cap: u32::MAX, window: Duration::from_secs(1 << 30) };
            let (mut now, mut next, mut made) = (0, timetable.next(at(0)), Vec::new());
            for pause in looks {
                now += pause;
                let Some(from) = next else { break };
                let due = due(&timetable, from, all, at(now));
                made.extend(due.slots);
                next = due.next;
            }
            let expected: Vec<_> = (1..).map(|n| at(n * every as i64)).take_while(|it| *it <= at(now)).collect();
            prop_assert_eq!(made, expected);
        }
    }
}
