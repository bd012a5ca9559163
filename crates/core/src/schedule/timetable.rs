//! The slots of a schedule, in order: what comes next, and what came last.

use std::time::Duration;

use super::When;
use super::pattern::{Pattern, PatternError};
use crate::limit;
use crate::time::Timestamp;

/// Between two moments that are told apart by a search for slots: none comes more often.
const SECOND: Duration = Duration::from_secs(1);

/// When a schedule's slots come, from its start to its end.
#[derive(Debug, Clone)]
pub struct Timetable {
    slots: Slots,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

#[derive(Debug, Clone)]
enum Slots {
    Of(Box<Pattern>),
    Every { first: Timestamp, every: Duration },
    Once(Timestamp),
}

/// Why there is no such timetable, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// Its pattern or zone.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// It would come more often than anything can.
    #[error("a schedule comes at most once a second; take \"1s\" or longer")]
    TooOften,
    /// It would take longer than anything lasts.
    #[error("a schedule comes at least once in {} days", limit::SCHEDULE_EVERY.as_secs() / 86_400)]
    TooSeldom,
    /// There is no slot between its start and its end.
    #[error("this schedule never comes: there is no such moment after its start and before its end")]
    Never,
}

impl Timetable {
    /// The timetable of a schedule that was made `at`.
    ///
    /// # Errors
    /// It cannot be read, never comes, or comes too often.
    pub fn new(
        when: &When,
        at: Timestamp,
        starts_at: Option<Timestamp>,
        ends_at: Option<Timestamp>,
    ) -> Result<Self, TimetableError> {
        let slots = match when {
            When::Cron { pattern, zone } => Slots::Of(Box::new(Pattern::read(pattern, zone)?)),
            When::Every(every) if *every < SECOND => return Err(TimetableError::TooOften),
            When::Every(every) if *every > limit::SCHEDULE_EVERY => return Err(TimetableError::TooSeldom),
            When::Every(every) => Slots::Every { first: starts_at.unwrap_or(whole(at).plus(*every)), every: *every },
            When::At(at) => Slots::Once(*at),
        };
        let (starts_at, ends_at) = (starts_at.unwrap_or(at), ends_at.unwrap_or(Timestamp::MAX));
        let timetable = Self { slots, starts_at, ends_at };
        let first = timetable.next(Timestamp::EPOCH);
        first.map(|_| timetable).ok_or(TimetableError::Never)
    }

    /// The first slot after that moment.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.max(self.starts_at.minus(Duration::from_micros(1)));
        let next = match &self.slots {
            Slots::Of(pattern) => pattern.next(after),
            Slots::Every { first, every } => counted_on(*first, *every, after),
            Slots::Once(at) => Some(*at).filter(|at| *at > after),
        };
        next.filter(|it| *it <= self.ends_at)
    }

    /// The last slot after `after` and up to `until`. Found by halves, in as many steps as it takes to halve the while to a
    /// second.
    pub fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut last = self.next(after).filter(|it| *it <= until)?;
        let mut none_after = until;
        while none_after.since(last) >= SECOND {
            let middle = last.plus(none_after.since(last) / 2);
            match self.next(middle).filter(|it| *it <= until) {
                Some(later) => last = later,
                None => none_after = middle,
            }
        }
        Some(last)
    }
}

/// The next whole second: nobody wants to read `13:00:07.482913` again and again.
fn whole(at: Timestamp) -> Timestamp {
    let part = u64::try_from(at.as_micros().rem_euclid(1_000_000)).unwrap_or(0);
    if part == 0 { at } else { at.plus(SECOND - Duration::from_micros(part)) }
}

/// The first of the moments `first`, `first + every`, ... after that one.
fn counted_on(first: Timestamp, every: Duration, after: Timestamp) -> Option<Timestamp> {
    if after < first {
        return Some(first);
    }
    let whiles = after.since(first).as_micros() / every.as_micros() + 1;
    let next = i128::from(first.as_micros()) + i128::try_from(whiles * every.as_micros()).ok()?;
    let next = Timestamp::from_micros(i64::try_from(next).ok()?);
    Some(next).filter(|it| *it <= Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn cron(pattern: &str) -> When {
        When::Cron { pattern: pattern.into(), zone: "UTC".into() }
    }

    fn refused(when: &When, starts: Option<Timestamp>, ends: Option<Timestamp>) -> TimetableError {
        Timetable::new(when, at(1_000_000), starts, ends).unwrap_err()
    }

    #[test]
    fn every_counts_from_the_start() {
        let made = Timetable::new(&When::Every(HOUR), at(90), None, None).unwrap();
        assert_eq!(made.next(at(90)), Some(at(3690)));
        assert_eq!(made.next(at(3689)), Some(at(3690)));
        assert_eq!(made.next(at(3690)), Some(at(7290)));
        let uneven = Timetable::new(&When::Every(HOUR), Timestamp::from_micros(90_000_001), None, None).unwrap();
        assert_eq!(uneven.next(at(90)), Some(at(3691)));
        let later = Timetable::new(&When::Every(HOUR), at(90), Some(at(1000)), Some(at(8200))).unwrap();
        assert_eq!((later.next(at(0)), later.next(at(1000))), (Some(at(1000)), Some(at(4600))));
        assert_eq!((later.next(at(4600)), later.next(at(8200))), (Some(at(8200)), None));
    }

    #[test]
    fn what_never_comes_or_too_often_is_refused() {
        assert_eq!(refused(&cron("0 0 30 2 *"), None, None), TimetableError::Never);
        assert_eq!(refused(&cron("0 0 1 1 *"), None, Some(at(1_000_001))), TimetableError::Never);
        assert_eq!(refused(&When::At(at(5)), Some(at(6)), None), TimetableError::Never);
        assert_eq!(refused(&When::Every(SECOND / 2), None, None), TimetableError::TooOften);
        assert_eq!(refused(&When::Every(Duration::MAX), None, None), TimetableError::TooSeldom);
        assert!(matches!(refused(&cron("nonsense"), None, None), TimetableError::Pattern(_)));
    }

    proptest! {
        #[test]
        fn the_last_is_the_last(after in 0_i64..400_000, length in 0_i64..400_000, which in 0_usize..5) {
            let when = [
                When::Every(Duration::from_secs(7)),
                When::Every(Duration::from_millis(90_500)),
                When::At(at(200_000)),
                cron("*/7 3 * * 1-5"),
                cron("5,10 1,2 1,2 2 * *"),
            ][which].clone();
            let timetable = Timetable::new(&when, at(0), None, None).unwrap();
            let (after, until) = (at(after), at(after + length));
            let (mut expected, mut from) = (None, after);
            while let Some(next) = timetable.next(from).filter(|it| *it <= until) {
                (expected, from) = (Some(next), next);
            }
            prop_assert_eq!(timetable.last(after, until), expected);
        }
    }
}
