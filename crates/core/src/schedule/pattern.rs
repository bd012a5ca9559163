//! Which moments a cron pattern means in a time zone. What a pattern says is read by `croner`, against a calendar without a
//! zone; what clocks do stands here.
//!
//! Where clocks are put forward or back there are two kinds of patterns. One that names hours and minutes (`30 2 * * *`) means
//! times of the clock: each comes once, one that the clock leaves out comes at the moment it is put forward, one that it shows
//! twice comes the first time. One with `*` or a step there (`*/15 * * * *`) means time that passes: it comes whenever
//! the clock shows it.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::time::Timestamp;

/// A pattern of five or six fields in a time zone.
#[derive(Debug, Clone)]
pub struct Pattern {
    cron: Cron,
    zone: TimeZone,
    course: Course,
}

/// What a pattern counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Times that clocks show, each once.
    Clock,
    /// Time that passes.
    Time,
}

/// Why a text is no pattern, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It cannot be read.
    #[error(
        "`{0}` is no cron pattern: {1}; five fields (minute hour day month weekday), six with seconds first, or @daily and the like"
    )]
    Unreadable(String, String),
    /// Nobody knows the zone.
    #[error("there is no time zone `{0}`; take a name of the IANA database, such as Europe/Berlin or UTC")]
    Zone(String),
}

impl Pattern {
    /// Reads a pattern for the zone of that IANA name.
    ///
    /// # Errors
    /// Either cannot be read. That its moments never come is seen by [`Pattern::next`].
    pub fn read(text: &str, zone: &str) -> Result<Self, PatternError> {
        let known = TimeZone::get(zone).map_err(|_| PatternError::Zone(zone.to_owned()))?;
        let text = text.trim();
        let text = if text.eq_ignore_ascii_case("@midnight") { "@daily" } else { text };
        let unreadable = |why: String| PatternError::Unreadable(text.to_owned(), why);
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|why| unreadable(why.to_string().trim_end_matches('.').to_owned()))?;
        Ok(Self { course: Course::of(text), cron, zone: known })
    }

    /// The first moment of the pattern after that one; `None`: it never comes.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.as_micros()).ok()?;
        let next = match self.course {
            Course::Clock => self.next_by_clock(after),
            Course::Time => self.next_by_time(after),
        };
        next.map(|at| Timestamp::from_micros(at.as_microsecond()))
    }

    /// No time of the clock that comes after `after` stands before what the clock shows then: the times of a gap come at its
    /// end, and those of a repetition the first time.
    fn next_by_clock(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut shown = self.zone.to_datetime(after);
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let at = self.first_shown(shown)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// When the clock first shows this, or first shows something later.
    fn first_shown(&self, shown: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // Counted on as if the clock had not been put forward: at the gap's end or after it.
                let counted_on = before.to_timestamp(shown).ok()?;
                let behind = counted_on.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
                self.zone.preceding(behind).next().map(|change| change.timestamp())
            }
        }
    }

    /// While a clock is not put forward or back it shows what a calendar says.
    fn next_by_time(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut from, mut is_included) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let shown = self.cron.find_next_occurrence(&offset.to_datetime(from), is_included).ok()?;
            let at = offset.to_timestamp(shown).ok()?;
            match self.zone.following(from).next() {
                Some(change) if change.timestamp() <= at => (from, is_included) = (change.timestamp(), true),
                _ => return Some(at),
            }
        }
    }
}

impl Course {
    fn of(text: &str) -> Self {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let flows = |field: Option<&&str>| field.is_some_and(|it| it.contains(['*', '/']));
        // The day, the month and the weekday stand last.
        let is_time = match fields.len() {
            5.. => flows(fields.get(fields.len() - 5)) || flows(fields.get(fields.len() - 4)),
            _ => text.eq_ignore_ascii_case("@hourly"),
        };
        if is_time { Self::Time } else { Self::Clock }
    }
}

#[cfg(test)]
mod tests;
