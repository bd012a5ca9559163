//! Moments on the wire: RFC 3339 in UTC, with `Z`.

use jiff::civil::{DateTime, date};
use tasklane_core::time::Timestamp;
use thiserror::Error;

// Civil time and not `jiff::Timestamp`, whose last moment is a day before the last one RFC 3339 can write.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// A text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a time is written in UTC like \"2026-01-31T18:30:00Z\"")]
pub struct TimeError;

/// The moment that `text` names; parts of a microsecond are cut.
///
/// # Errors
/// [`TimeError`]: not RFC 3339, not with `Z`, or no such day or hour.
pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
    let civil = text.strip_suffix('Z').filter(|_| has_form(text.as_bytes())).ok_or(TimeError)?;
    let civil: DateTime = civil.parse().map_err(|_| TimeError)?;
    let micros = i64::try_from(civil.duration_since(EPOCH).as_micros()).map_err(|_| TimeError)?;
    Ok(Timestamp::from_micros(micros).min(Timestamp::MAX))
}

/// `2026-01-31T18:30:00Z`, with up to nine decimals of the second: jiff reads more forms than we mean to promise.
fn has_form(text: &[u8]) -> bool {
    const PATTERN: &[u8; 19] = b"0000-00-00T00:00:00";
    let Some((whole, rest)) = text.split_at_checked(PATTERN.len()) else { return false };
    let fits = |(byte, wanted): (&u8, &u8)| if *wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    let decimals = match rest {
        [b'Z'] => return whole.iter().zip(PATTERN).all(fits),
        [b'.', decimals @ .., b'Z'] => decimals,
        _ => return false,
    };
    (1..=9).contains(&decimals.len()) && decimals.iter().all(u8::is_ascii_digit) && whole.iter().zip(PATTERN).all(fits)
}

/// `moment` as text; without decimals where there are none.
pub fn format(moment: Timestamp) -> String {
    moment.to_rfc3339()
}

/// For `#[serde(with)]`.
pub mod shape {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tasklane_core::time::Timestamp;

    /// Writes a moment.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*moment))
    }

    /// Reads a moment.
    ///
    /// # Errors
    /// Those of the deserializer, and [`super::TimeError`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        super::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// For `#[serde(with)]` on an option.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tasklane_core::time::Timestamp;

    /// Writes a moment.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => super::shape::serialize(moment, to),
            None => to.serialize_none(),
        }
    }

    /// Reads a moment.
    ///
    /// # Errors
    /// Those of the deserializer, and [`super::TimeError`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|it| super::parse(&it).map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_utc() {
        let moment = parse("2026-01-31T18:30:00.25Z").unwrap();
        assert_eq!(moment.as_micros(), 1_769_884_200_250_000);
        assert_eq!(format(moment), "2026-01-31T18:30:00.25Z");
        assert_eq!(format(Timestamp::EPOCH), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn refuses_what_is_odd() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T18:30:00",
            "2026-01-31T18:30:00+01:00",
            "2026-01-31 18:30:00Z",
            "2026-01-31t18:30:00z",
            "2026-02-30T18:30:00Z",
            "2026-01-31T24:30:00Z",
            "2026-01-31T18:30Z",
            "1769884200",
            "2026-01-31T18:30:00.Z",
            "2026-01-31T18:30:00.1234567890Z",
            "20260131T183000Z",
            "2026-01-31T18:30:00Z\0",
        ] {
            assert_eq!(parse(text), Err(TimeError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in 0..=Timestamp::MAX.as_micros()) {
            let moment = Timestamp::from_micros(micros);
            prop_assert_eq!(parse(&format(moment)), Ok(moment));
        }
    }
}
