//! Parameters of the query: each is taken once by its handler, and what nobody took is refused.

use std::time::Duration;

use axum::extract::Query as Parsed;
use http::Uri;
use tasklane_core::time::Timestamp;
use tasklane_wire::read::Findings;
use tasklane_wire::{duration, time};

use crate::error::Refused;

/// What is left of the query, and what was wrong with what was taken.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    findings: Findings,
}

impl Query {
    /// The query of a URI.
    pub fn of(uri: &Uri) -> Self {
        let mut query = Self::default();
        if uri.query().is_some_and(|it| !it.is_empty()) {
            match Parsed::try_from_uri(uri) {
                Ok(Parsed(pairs)) => query.pairs = pairs,
                Err(_) => query.findings.push("?".to_owned(), "is no query"),
            }
        }
        query
    }

    /// Notes that `name` is wrong.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.findings.push(format!("?{name}"), message);
    }

    /// What is wrong so far.
    pub fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// The value of `name`.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let place = self.pairs.iter().position(|it| it.0 == name)?;
        let (_, value) = self.pairs.remove(place);
        if self.pairs.iter().any(|it| it.0 == name) {
            self.pairs.retain(|it| it.0 != name);
            self.wrong(name, "must be given once");
        }
        Some(value)
    }

    /// The values of all names that begin with `prefix`, with what follows it.
    pub fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let (taken, left) = std::mem::take(&mut self.pairs).into_iter().partition(|it| it.0.starts_with(prefix));
        self.pairs = left;
        let cut = |(name, value): (String, String)| (name[prefix.len()..].to_owned(), value);
        Vec::into_iter(taken).map(cut).collect()
    }

    /// The value of `name`, made by `read`; where that is `None`, `wanted` says what it must be.
    pub fn read<T>(&mut self, name: &str, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take(name)?;
        let value = read(&text);
        if value.is_none() {
            self.wrong(name, format!("must be {wanted}"));
        }
        value
    }

    /// A duration of at most `most`.
    pub fn duration(&mut self, name: &str, most: Duration) -> Option<Duration> {
        let wanted = format!("a duration such as \"10s\", at most {}", duration::format(most));
        self.read(name, &wanted, |text| duration::parse(text).ok().filter(|it| *it <= most))
    }

    /// A moment.
    pub fn moment(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, "a time such as \"2026-01-31T18:30:00Z\"", |text| time::parse(text).ok())
    }

    /// A page's size, from 1 to `most`.
    pub fn limit(&mut self, most: usize) -> Option<usize> {
        self.count("limit", most)
    }

    /// A number of things, from 1 to `most`.
    pub fn count(&mut self, name: &str, most: usize) -> Option<usize> {
        let wanted = format!("a whole number from 1 to {most}");
        self.read(name, &wanted, |text| {
            let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
            text.parse().ok().filter(|it| digits && (1..=most).contains(it))
        })
    }

    /// Ends the query.
    ///
    /// # Errors
    /// Something was wrong, or there is a parameter that nobody took.
    pub fn finish(mut self) -> Result<(), Refused> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.wrong(&name, "there is no such parameter");
        }
        if self.findings.is_empty() { Ok(()) } else { Err(self.findings.into()) }
    }
}
