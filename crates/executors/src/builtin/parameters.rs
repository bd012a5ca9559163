//! Reads the parameters of a demonstration task; every mistake is told in words.

use std::time::Duration;

use serde_json::{Map, Number, Value};

/// Longest time a demonstration task may be told to take.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The members of a payload.
pub(super) struct Parameters(Map<String, Value>);

/// A number of seconds, and how it was written, to be shown again the same way.
pub(super) struct Seconds {
    pub(super) number: Number,
    pub(super) length: Duration,
}

impl Parameters {
    /// The members of the payload; `null` has none.
    pub(super) fn read(payload: &[u8]) -> Result<Self, String> {
        match serde_json::from_slice(payload) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(Value::Null) => Ok(Self(Map::new())),
            Ok(_) => Err("the payload must be an object of parameters".into()),
            Err(error) => Err(format!("the payload is not JSON: {error}")),
        }
    }

    /// From 0 to [`LONGEST`], each unit taking `factor` seconds.
    pub(super) fn seconds(&self, name: &str, default: u64, factor: f64) -> Result<Seconds, String> {
        let number = match self.0.get(name) {
            None => Number::from(default),
            Some(Value::Number(number)) => number.clone(),
            Some(_) => return Err(format!("{name} must be a number")),
        };
        let seconds = number.as_f64().unwrap_or(f64::NAN) * factor;
        match Duration::try_from_secs_f64(seconds) {
            Ok(length) if length <= LONGEST => Ok(Seconds { number, length }),
            _ => Err(format!("{name} must be from 0 to {}", LONGEST.as_secs_f64() / factor)),
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str, default: u64) -> Result<u64, String> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => value.as_u64().ok_or_else(|| format!("{name} must be a whole number from 0")),
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str, default: &str) -> Result<String, String> {
        match self.0.get(name) {
            None => Ok(default.into()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("{name} must be a string")),
        }
    }
}
