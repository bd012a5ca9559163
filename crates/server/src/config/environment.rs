//! The environment as a value, so that tests need not change the process.

use std::collections::BTreeMap;
use std::env;
use std::str::FromStr;

use crate::error::StartError;

/// Environment variables. Empty ones count as absent: compose files leave them behind.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. A variable that is not UTF-8 is absent.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(env::vars_os().filter_map(text).filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// The variable's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The first of `names` that is set, with its text.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str)> {
        names.iter().find_map(|&name| Some((name, self.get(name)?)))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The variable as a yes or no.
    ///
    /// # Errors
    /// It is set to something that is neither.
    pub fn switch(&self, name: &'static str) -> Result<Option<bool>, StartError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(StartError::setting(name, value, "true or false")),
        }
    }

    /// The variable as a number between `least` and `most`, or `default`.
    ///
    /// # Errors
    /// It is set to something else.
    pub fn number<T>(&self, name: &'static str, least: T, most: T, default: T) -> Result<T, StartError>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(value) = self.get(name) else { return Ok(default) };
        match value.parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(number),
            _ => Err(StartError::setting(name, value, &format!("a whole number from {least} to {most}"))),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let filled = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
        Self(filled.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_empty_variable_is_absent() {
        assert_eq!(Environment::from([("A", " ")]).get("A"), None);
    }

    #[test]
    fn a_switch_is_yes_or_no_and_nothing_else() {
        let environment = Environment::from([("YES", "On"), ("NO", "0"), ("ODD", "maybe")]);
        assert_eq!(environment.switch("YES").unwrap(), Some(true));
        assert_eq!(environment.switch("NO").unwrap(), Some(false));
        assert_eq!(environment.switch("ABSENT").unwrap(), None);
        assert!(environment.switch("ODD").is_err());
    }

    #[test]
    fn a_number_has_bounds() {
        let environment = Environment::from([("N", "5"), ("WORD", "five")]);
        assert_eq!(environment.number("N", 1, 10, 3).unwrap(), 5);
        assert_eq!(environment.number("ABSENT", 1, 10, 3).unwrap(), 3);
        assert!(environment.number("N", 6, 10, 7).is_err());
        assert!(environment.number("WORD", 1, 10, 3).is_err());
    }
}
