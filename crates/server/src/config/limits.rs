//! How much each caller may call.

use std::time::Duration;

use tasklane_api::CallLimits;
use tasklane_core::key::CallRate;
use tasklane_core::limit;
use tasklane_wire::duration;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// How often.
pub const CALLS: Setting = Setting {
    key: "limits.calls",
    kind: Kind::Number(*limit::RATE_COUNT.start() as u64, *limit::RATE_COUNT.end() as u64),
    variable: Some("TASKLANE_CALLS"),
    doc: "How many calls each key, or each address where none is used, may make in the time that `calls_per` says",
    more: "So many at once, and evenly from then on; one more is answered 429. A key may have a rate of its own. Each server counts \
           for itself.",
    ..Setting::NEW
};

/// In how long.
pub const CALLS_PER: Setting = Setting {
    key: "limits.calls_per",
    default: Some("1s"),
    doc: "The time of `calls`, such as 1s, 5m or 1h",
    ..Setting::NEW
};

/// How many at once.
pub const CALLS_AT_ONCE: Setting = Setting {
    key: "limits.calls_at_once",
    kind: Kind::Number(1, 1_000_000),
    variable: Some("TASKLANE_CALLS_AT_ONCE"),
    doc: "How many calls of each key, or of each address where none is used, may be under way",
    more: "Calls that wait, such as of workers for work, count, too; streams do while they begin. One more is answered 429.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "limits",
    doc: "How much each caller may call. Nothing is limited unless it is said.",
    settings: &[&CALLS, &CALLS_PER, &CALLS_AT_ONCE],
};

/// Reads the section.
///
/// # Errors
/// A time that cannot be that of a rate.
pub fn read(settings: &Settings) -> Result<CallLimits, StartError> {
    let number = |setting| settings.text(setting).and_then(|it| it.parse::<u32>().ok());
    let found = settings.get(&CALLS_PER);
    let text = found.text.as_deref().unwrap_or("1s");
    let per = duration::parse(text).ok().filter(|it: &Duration| limit::RATE_PER.contains(it));
    let per = per.ok_or_else(|| StartError::setting(&found.name(), text, "a duration from 1s to 366d"))?;
    let rate = number(&CALLS).map(|count| CallRate { count, per });
    Ok(CallLimits { rate, at_once: number(&CALLS_AT_ONCE) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn calls_are_limited_where_that_is_said() {
        let limits = |text: &str| read(&Settings::of_text(text).unwrap());
        assert_eq!(limits("").unwrap(), CallLimits::default());
        let rate = Some(CallRate { count: 100, per: Duration::from_secs(60) });
        let text = "[limits]\ncalls = 100\ncalls_per = \"1m\"\ncalls_at_once = 7\n";
        assert_eq!(limits(text).unwrap(), CallLimits { rate, at_once: Some(7) });
        assert!(limits("[limits]\ncalls_per = \"1ms\"\n").unwrap_err().to_string().contains("from 1s"));
    }
}
