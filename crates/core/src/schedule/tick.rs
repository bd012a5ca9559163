//! What becomes of slots that have come.

use std::time::Duration;

use jiff::tz::TimeZone;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::timetable::{Timetable, TimetableError};
use super::{Came, CatchUp, Missed, Overlap, Schedule, ScheduleId, Slot};
use crate::accept::NewTask;
use crate::gate::{Bounds, Limit};
use crate::task::TaskId;
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

/// Whether a slot makes its task while so many of earlier slots are not finished.
fn has_room(overlap: Overlap, unfinished: usize) -> bool {
    match overlap {
        Overlap::Allow | Overlap::Replace => true,
        Overlap::Skip => unfinished == 0,
        Overlap::QueueOne => unfinished < 2,
    }
}

/// What is to be done about a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticked {
    /// The schedule afterwards.
    pub schedule: Schedule,
    /// Tasks to accept with it.
    pub make: Vec<NewTask>,
    /// Tasks to cancel once that is done; some may have been told before.
    pub cancel: Vec<TaskId>,
    /// What the slots came to.
    pub slots: Vec<(Timestamp, Came)>,
}

/// Deals with the slots of a schedule that have come. `finished` are those of its unfinished tasks that no longer are, `draw`
/// draws ids; `None`: no slot has come.
///
/// # Errors
/// The schedule was kept by a program that read it otherwise.
pub fn tick(
    id: ScheduleId,
    schedule: Schedule,
    now: Timestamp,
    finished: &[TaskId],
    draw: impl FnMut() -> TaskId,
) -> Result<Option<Ticked>, TimetableError> {
    let Some(next) = schedule.due().filter(|next| *next <= now) else { return Ok(None) };
    let timetable = schedule.timetable()?;
    let Due { slots, missed, next } = due(&timetable, next, schedule.rule.missed, now);
    let unfinished = schedule.unfinished.iter().copied().filter(|it| !finished.contains(it)).collect();
    let schedule = Schedule { next, unfinished, ..schedule };
    let mut ticked = Ticked { schedule, make: Vec::new(), cancel: Vec::new(), slots: Vec::new() };
    let is_made = |slot: &Timestamp| slots.contains(slot);
    let ends = missed.into_iter().flat_map(|(first, last)| [first, last]).filter(|it| !is_made(it));
    ticked.slots.extend(ends.map(|slot| (slot, Came::Missed)));
    ticked.fill(id, &slots, draw);
    Ok(Some(ticked))
}

impl Ticked {
    fn fill(&mut self, id: ScheduleId, slots: &[Timestamp], mut draw: impl FnMut() -> TaskId) {
        let (overlap, zone) = (self.schedule.rule.overlap, self.schedule.rule.when.zone());
        let Some((last, replaced)) = slots.split_last().filter(|_| overlap == Overlap::Replace) else {
            return slots.iter().for_each(|slot| self.fill_one(id, *slot, &zone, &mut draw));
        };
        // Each of them would be replaced by the next.
        self.slots.extend(replaced.iter().map(|slot| (*slot, Came::Overlapped)));
        // They stay known until they have finished: should nobody come to cancel them now, the next slot has it done.
        self.cancel.clone_from(&self.schedule.unfinished);
        self.fill_one(id, *last, &zone, &mut draw);
    }

    fn fill_one(&mut self, id: ScheduleId, slot: Timestamp, zone: &TimeZone, draw: &mut impl FnMut() -> TaskId) {
        let Schedule { rule, unfinished, .. } = &mut self.schedule;
        if !has_room(rule.overlap, unfinished.len()) {
            return self.slots.push((slot, Came::Overlapped));
        }
        let at = start(id, slot, rule.jitter);
        let mut task = rule.task.task(draw(), Slot { schedule: id, at: slot }, at, zone);
        if matches!(rule.overlap, Overlap::Replace | Overlap::QueueOne) {
            let one_at_a_time = Bounds { max_running: Some(1), rate: None };
            let limit = Limit { key: format!("schedule:{}", id.0).into(), bounds: one_at_a_time };
            task.limits = Limit::share(task.limits.iter().cloned().chain([limit]));
        }
        if rule.overlap != Overlap::Allow {
            unfinished.push(task.id);
        }
        self.slots.push((slot, Came::Made(task.id)));
        self.make.push(task);
    }
}

/// When the task of a slot starts: up to `jitter` after it, the same whoever asks.
pub fn start(schedule: ScheduleId, slot: Timestamp, jitter: Duration) -> Timestamp {
    let drawn = xxh3_64_with_seed(&slot.as_micros().to_le_bytes(), schedule.0.as_u64_pair().1);
    let share = (u128::from(drawn) * jitter.as_micros()) >> 64;
    slot.plus(Duration::from_micros(u64::try_from(share).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::template::Template;
    use super::super::{Rule, Source, When};
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

    fn rule(when: When, overlap: Overlap) -> Rule {
        let task = Template::new("q", "t", "\"{slot.unix}\"");
        Rule { overlap, missed: missed(CatchUp::None), ..Rule::new(when, task) }
    }

    /// A tick at each of these seconds, of which the tasks made at the first are finished by the last; what slots came to,
    /// and how many were cancelled.
    fn ticks(overlap: Overlap, at_seconds: [i64; 3]) -> (String, usize) {
        let rule = rule(When::Every(Duration::from_secs(10)), overlap);
        let mut schedule = Schedule::new(rule, Source::Caller, at(0)).unwrap();
        let (mut drawn, mut came, mut cancelled, mut first) = (0, String::new(), 0, Vec::new());
        for (nth, now) in at_seconds.into_iter().enumerate() {
            let draw = || {
                drawn += 1;
                TaskId(Uuid::from_u128(drawn))
            };
            let finished = if nth == 2 { &first[..] } else { &[] };
            let ticked = tick(ScheduleId(Uuid::nil()), schedule, at(now), finished, draw).unwrap().unwrap();
            came.extend(ticked.slots.iter().map(|(_, came)| match came {
                Came::Made(_) => 'm',
                Came::Missed => '-',
                Came::Overlapped => 'o',
                Came::Refused => 'r',
            }));
            cancelled += ticked.cancel.len();
            if nth == 0 {
                first = ticked.make.iter().map(|it| it.id).collect();
            }
            schedule = ticked.schedule;
        }
        (came, cancelled)
    }

    #[test]
    fn slots_overlap_as_was_asked() {
        for (overlap, at_seconds, came, cancelled) in [
            (Overlap::Allow, [10, 20, 40], "mmmm", 0),
            (Overlap::Skip, [10, 20, 40], "momo", 0),
            (Overlap::QueueOne, [10, 30, 40], "mmom", 0),
            (Overlap::Replace, [10, 30, 40], "momm", 2),
        ] {
            assert_eq!(ticks(overlap, at_seconds), (came.to_owned(), cancelled), "{overlap:?}");
        }
    }

    #[test]
    fn who_is_to_be_replaced_is_cancelled_until_he_has_finished() {
        let rule = rule(When::Every(Duration::from_secs(10)), Overlap::Replace);
        let (mut schedule, mut drawn) = (Schedule::new(rule, Source::Caller, at(0)).unwrap(), 0);
        for (now, finished, cancelled) in
            [(10, None, vec![]), (20, None, vec![1]), (30, None, vec![1, 2]), (40, Some(1), vec![2, 3])]
        {
            let draw = || {
                drawn += 1;
                TaskId(Uuid::from_u128(drawn))
            };
            let finished: Vec<TaskId> = finished.map(|it| TaskId(Uuid::from_u128(it))).into_iter().collect();
            let ticked = tick(ScheduleId(Uuid::nil()), schedule, at(now), &finished, draw).unwrap().unwrap();
            assert_eq!(ticked.cancel.iter().map(|it| it.0.as_u128()).collect::<Vec<_>>(), cancelled, "{now}");
            schedule = ticked.schedule;
        }
    }

    #[test]
    fn a_slot_makes_a_task_that_says_which() {
        let (id, rule) = (ScheduleId(Uuid::from_u128(7)), rule(When::Every(MINUTE), Overlap::Allow));
        let schedule = Schedule::new(rule, Source::Caller, at(0)).unwrap();
        assert_eq!(tick(id, schedule.clone(), at(59), &[], || unreachable!()).unwrap(), None);
        let draw = || TaskId(Uuid::from_u128(9));
        let ticked = tick(id, schedule.clone(), at(61), &[], draw).unwrap().unwrap();
        assert_eq!(ticked.slots, [(at(60), Came::Made(draw()))]);
        let made = &ticked.make[0];
        assert_eq!((&made.payload[..], made.spec.slot), (&b"\"60\""[..], Some(Slot { schedule: id, at: at(60) })));
        assert_eq!(ticked.schedule.due(), Some(at(120)));
        // What comes while it is paused was not missed.
        let paused = schedule.paused(true, at(61)).unwrap();
        assert_eq!((paused.due(), tick(id, paused.clone(), at(400), &[], draw).unwrap()), (None, None));
        assert_eq!(paused.paused(false, at(400)).unwrap().due(), Some(at(420)));
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
