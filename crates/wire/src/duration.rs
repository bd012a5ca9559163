//! Durations on the wire: `"90s"`, `"5m"`, `"250ms"`, `"1h30m"`. One parser, one formatter.
//!
//! Whole numbers with the units d, h, m, s, ms, each at most once, the greater first. Anything odd (a fraction, a sign, a
//! space, a number without unit, a leading zero) is refused, so that nobody has to guess.

use std::time::Duration;

use tasklane_core::limit;
use thiserror::Error;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Not of the form.
    #[error("a duration is written like \"90s\", \"5m\", \"250ms\" or \"1h30m\"")]
    Odd,
    /// Longer than [`limit::DURATION`].
    #[error("a duration is at most 3660d")]
    TooLong,
}

/// The duration that `text` names.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let (mut rest, mut units, mut millis) = (text, &UNITS[..], 0_u64);
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |it| it.is_ascii_digit());
        let (unit, after) = split_while(after, |it| it.is_ascii_lowercase());
        if number.is_empty() || (number.len() > 1 && number.starts_with('0')) {
            return Err(DurationError::Odd);
        }
        let place = units.iter().position(|it| it.0 == unit).ok_or(DurationError::Odd)?;
        // A unit is not repeated and no greater one follows: what is left of the table is what may come.
        let scale = units[place].1;
        units = &units[place + 1..];
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        millis = number.checked_mul(scale).and_then(|it| it.checked_add(millis)).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(DurationError::Odd);
    }
    Some(Duration::from_millis(millis)).filter(|it| *it <= limit::DURATION).ok_or(DurationError::TooLong)
}

fn split_while(text: &str, wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|it| !wanted(it)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// `duration` as text, in whole milliseconds, rounded up: a wait is never shorter than asked for.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let mut millis = u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        let count = millis / scale;
        millis %= scale;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    text
}

/// For `#[serde(with)]`.
pub mod shape {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a duration.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*duration))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// Those of the deserializer, and [`super::DurationError`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// For `#[serde(with)]` on an option.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a duration.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::shape::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// Those of the deserializer, and [`super::DurationError`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|it| super::parse(&it).map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_documented_ones() {
        let cases =
            [("90s", 90_000), ("5m", 300_000), ("250ms", 250), ("1h30m", 5_400_000), ("0s", 0), ("7d", 604_800_000)];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_odd() {
        for text in [
            "", "5", "s", "1.5s", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1m1h", "1s1s", "01s", "1w", "5min", "1h30",
            "PT5M", "٣s", "1s\0", "1µs", "1e3s",
        ] {
            assert_eq!(parse(text), Err(DurationError::Odd), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_too_long() {
        for text in ["3661d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0_u64..=3660 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn never_writes_less_than_there_is(nanos in 0_u64..1 << 60) {
            let duration = Duration::from_nanos(nanos);
            let read = parse(&format(duration)).unwrap_or(limit::DURATION);
            prop_assert!(read >= duration.min(limit::DURATION));
        }
    }
}
