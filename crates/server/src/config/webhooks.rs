//! How deliveries are made.

use std::ops::RangeInclusive;
use std::time::Duration;

use tasklane_wire::duration;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// How long an endpoint may take to answer.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// How long an endpoint may fail before it is disabled.
const PATIENCES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 3600);

/// How long one call may take.
pub const TIMEOUT: Setting = Setting {
    key: "webhooks.timeout",
    default: Some("20s"),
    variable: Some("TASKLANE_WEBHOOKS_TIMEOUT"),
    doc: "How long the receiver of a webhook may take to answer, from 1s to 60s",
    more: "One that takes longer has not heard; the delivery is tried again.",
    ..Setting::NEW
};

/// How long an endpoint may fail.
pub const DISABLE_AFTER: Setting = Setting {
    key: "webhooks.disable_after",
    default: Some("120h"),
    variable: Some("TASKLANE_WEBHOOKS_DISABLE_AFTER"),
    doc: "How long nothing may have reached a webhook before it is disabled",
    more: "What waits for it is kept until seven days after its event; `tasklane webhook enable` has it sent.",
    ..Setting::NEW
};

/// How many deliveries at once.
pub const AT_ONCE: Setting = Setting {
    key: "webhooks.at_once",
    kind: Kind::Number(1, 10_000),
    default: Some("256"),
    variable: Some("TASKLANE_WEBHOOKS_AT_ONCE"),
    doc: "How many deliveries this server makes at once, to all receivers",
    more: "Each webhook has a limit of its own, `max_running`, and gets one at a time while it fails.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "webhooks",
    doc: "How events are sent to webhooks.",
    settings: &[&TIMEOUT, &DISABLE_AFTER, &AT_ONCE],
};

/// How deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Webhooks {
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an endpoint may fail.
    pub disable_after: Duration,
    /// How many deliveries at once.
    pub at_once: usize,
}

/// Reads the section.
///
/// # Errors
/// A time that cannot be meant.
pub fn read(settings: &Settings) -> Result<Webhooks, StartError> {
    let timeout = time(settings, &TIMEOUT, TIMEOUTS, "a duration from 1s to 60s")?;
    let disable_after = time(settings, &DISABLE_AFTER, PATIENCES, "a duration from 1s to 8760h")?;
    let at_once = settings.text(&AT_ONCE).and_then(|it| it.parse().ok()).unwrap_or(256);
    Ok(Webhooks { timeout, disable_after, at_once })
}

fn time(
    settings: &Settings,
    setting: &'static Setting,
    within: RangeInclusive<Duration>,
    expected: &'static str,
) -> Result<Duration, StartError> {
    let found = settings.get(setting);
    let text = found.text.as_deref().unwrap_or_default();
    let time = duration::parse(text).ok().filter(|it| within.contains(it));
    time.ok_or_else(|| StartError::setting(&found.name(), text, expected))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn deliveries_are_made_as_it_is_said() {
        let webhooks = |text: &str| read(&Settings::of_text(text).unwrap());
        let days = Duration::from_secs(5 * 24 * 3600);
        let usual = Webhooks { timeout: Duration::from_secs(20), disable_after: days, at_once: 256 };
        assert_eq!(webhooks("").unwrap(), usual);
        let text = "[webhooks]\ntimeout = \"5s\"\ndisable_after = \"1h\"\nat_once = 7\n";
        let disable_after = Duration::from_secs(3600);
        assert_eq!(webhooks(text).unwrap(), Webhooks { timeout: Duration::from_secs(5), disable_after, at_once: 7 });
        assert!(webhooks("[webhooks]\ntimeout = \"2h\"\n").unwrap_err().to_string().contains("60s"));
    }
}
