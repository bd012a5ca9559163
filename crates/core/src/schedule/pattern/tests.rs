//! T22: patterns against an oracle that goes minute by minute and knows nothing but what the clock shows.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Moment};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Zones whose clocks did what few do: half an hour, two hours, a whole day; at midnight, at one minute past; in Ramadan.
const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "America/Caracas",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
];

/// A field: what it says and what it means.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<i8>,
    flows: bool,
}

fn field(from: i8, to: i8) -> impl Strategy<Value = Field> {
    let all = move || Field { text: "*".into(), values: (from..=to).collect(), flows: true };
    let step = (1..=to).prop_map(move |step| Field {
        text: format!("*/{step}"),
        values: (from..=to).step_by(step as usize).collect(),
        flows: true,
    });
    let some = prop::collection::btree_set(from..=to, 1..4).prop_map(|values| {
        let words: Vec<String> = values.iter().map(i8::to_string).collect();
        Field { text: words.join(","), values, flows: false }
    });
    let range = (from..=to, from..=to).prop_map(|(a, b)| {
        let (a, b) = (a.min(b), a.max(b));
        Field { text: format!("{a}-{b}"), values: (a..=b).collect(), flows: false }
    });
    prop_oneof![1 => Just(()).prop_map(move |()| all()), 1 => step, 3 => some, 1 => range]
}

/// Minute, hour, day of the month, month, day of the week.
type Fields = (Field, Field, Field, Field, Field);

fn fields() -> impl Strategy<Value = Fields> {
    let any = |from: i8, to: i8| Field { text: "*".into(), values: (from..=to).collect(), flows: true };
    let mostly_any = move |from, to| prop_oneof![4 => Just(()).prop_map(move |()| any(from, to)), 1 => field(from, to)];
    (field(0, 59), field(0, 23), mostly_any(1, 31), mostly_any(1, 12), mostly_any(0, 6))
}

/// Whether the clock shows a time of the pattern: of the day of the month and that of the week one is enough where both are
/// said, as in crontab(5).
fn matches((minute, hour, day, month, weekday): &Fields, shown: DateTime) -> bool {
    let of_month = day.values.contains(&shown.day());
    let of_week = weekday.values.contains(&shown.weekday().to_sunday_zero_offset());
    let is_day = match (day.text.as_str(), weekday.text.as_str()) {
        ("*", _) => of_week,
        (_, "*") => of_month,
        _ => of_month || of_week,
    };
    is_day
        && month.values.contains(&shown.month())
        && hour.values.contains(&shown.hour())
        && minute.values.contains(&shown.minute())
}

/// Every moment of the pattern in a while, from what the clock shows minute by minute.
fn oracle(fields: &Fields, zone: &TimeZone, from: Moment, minutes: usize) -> Vec<Moment> {
    let is_time = fields.0.flows || fields.1.flows;
    let (mut found, mut at) = (Vec::new(), from);
    // The latest time that was shown so far.
    let mut latest = zone.to_datetime(from);
    for _ in 0..minutes {
        at += MINUTE;
        let shown = zone.to_datetime(at);
        if is_time {
            if matches(fields, shown) {
                found.push(at);
            }
            continue;
        }
        let mut has_come = false;
        while latest < shown {
            latest += MINUTE;
            has_come |= matches(fields, latest);
        }
        if has_come {
            found.push(at);
        }
    }
    found
}

fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

/// A day before some change of the clock, or any moment of the years from 2000 on.
fn start(zone: &TimeZone, change: usize, minute: i64) -> Moment {
    let any = moment("2000-01-01T00:00:00Z") + SignedDuration::from_mins(minute);
    match zone.following(any).nth(change % 3) {
        Some(it) if change > 0 && it.timestamp() < moment("2041-01-01T00:00:00Z") => {
            it.timestamp() - SignedDuration::from_hours(30)
        }
        _ => any,
    }
}

fn of(pattern: &Pattern, from: Moment, until: Moment) -> Vec<Moment> {
    let mut at = Timestamp::from_micros(from.as_microsecond());
    let mut found = Vec::new();
    while let Some(next) = pattern.next(at).filter(|it| it.as_micros() <= until.as_microsecond()) {
        found.push(Moment::from_microsecond(next.as_micros()).unwrap());
        at = next;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn it_comes_when_the_clock_says(
        fields in fields(), zone in select(ZONES), change in 0_usize..6, minute in 0_i64..41 * 525_600,
    ) {
        const MINUTES: usize = 3 * 1440;
        let text = [&fields.0, &fields.1, &fields.2, &fields.3, &fields.4].map(|it| it.text.as_str()).join(" ");
        let pattern = Pattern::read(&text, zone).unwrap();
        let known = TimeZone::get(zone).unwrap();
        let from = start(&known, change, minute);
        let until = from + MINUTE * MINUTES as i32;
        let (expected, found) = (oracle(&fields, &known, from, MINUTES), of(&pattern, from, until));
        prop_assert_eq!(found, expected, "{} in {} from {}", text, zone, from);
    }
}

/// The first moments of a pattern after a moment, as that zone shows them.
fn next(text: &str, zone: &str, after: &str, many: usize) -> Vec<String> {
    let pattern = Pattern::read(text, zone).unwrap();
    let known = TimeZone::get(zone).unwrap();
    let mut at = Timestamp::from_micros(moment(after).as_microsecond());
    let mut found = Vec::new();
    for _ in 0..many {
        let Some(next) = pattern.next(at) else { break };
        found.push(
            Moment::from_microsecond(next.as_micros())
                .unwrap()
                .to_zoned(known.clone())
                .strftime("%F %T %:z")
                .to_string(),
        );
        at = next;
    }
    found
}

#[test]
fn a_time_that_the_clock_leaves_out_comes_at_the_gaps_end() {
    let found = next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(found, ["2026-03-29 03:00:00 +02:00", "2026-03-30 02:30:00 +02:00"]);
    // Apia had no 30th of December.
    let found = next("0 9 30 12 *", "Pacific/Apia", "2011-12-28T00:00:00Z", 2);
    assert_eq!(found, ["2011-12-31 00:00:00 +14:00", "2012-12-30 09:00:00 +14:00"]);
}

#[test]
fn a_time_that_the_clock_shows_twice_comes_once_and_every_quarter_of_an_hour_comes_whenever_it_is() {
    let found = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(found, ["2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00"]);
    let found = next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4);
    let expected = ["2026-10-25 02:30:00 +02:00", "2026-10-25 02:00:00 +01:00", "2026-10-25 02:30:00 +01:00"];
    assert_eq!(found[..3], expected);
}

#[test]
fn words_and_signs() {
    for (text, first) in [
        ("@daily", "2026-02-11 00:00:00 +00:00"),
        ("@midnight", "2026-02-11 00:00:00 +00:00"),
        ("@hourly", "2026-02-10 13:00:00 +00:00"),
        ("@weekly", "2026-02-15 00:00:00 +00:00"),
        ("@monthly", "2026-03-01 00:00:00 +00:00"),
        ("@yearly", "2027-01-01 00:00:00 +00:00"),
        ("0 0 L * *", "2026-02-28 00:00:00 +00:00"),
        ("0 9 * * MON#1", "2026-03-02 09:00:00 +00:00"),
        ("0 9 * JAN-MAR fri", "2026-02-13 09:00:00 +00:00"),
        ("*/20 * * * * *", "2026-02-10 12:00:20 +00:00"),
    ] {
        assert_eq!(next(text, "UTC", "2026-02-10T12:00:00Z", 1), [first], "{text}");
    }
}

#[test]
fn what_is_no_pattern_is_refused_and_what_never_comes_does_not_come() {
    for text in
        ["", "* * * *", "* * * * * * *", "60 * * * *", "a b c d e", "@sometimes", "*/0 * * * *", "5-1 * * * *", "\u{0}"]
    {
        assert!(matches!(Pattern::read(text, "UTC"), Err(PatternError::Unreadable(..))), "{text}");
    }
    assert_eq!(Pattern::read("@daily", "Mars/Olympus").unwrap_err(), PatternError::Zone("Mars/Olympus".into()));
    assert!(next("0 0 30 2 *", "Europe/Berlin", "2026-01-01T00:00:00Z", 1).is_empty());
    assert!(next("* 0 31 4 *", "Europe/Berlin", "2026-01-01T00:00:00Z", 1).is_empty());
}
