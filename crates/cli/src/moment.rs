//! Times for people: how long ago, or how long until.

use std::time::Duration;

use tasklane_core::time::Timestamp;
use tasklane_wire::{duration, time};

/// The duration that `text` names.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// `3m ago`, `in 2h`; the text itself where it is no moment.
pub(crate) fn relative(text: &str, now: Timestamp) -> String {
    match time::parse(text) {
        Ok(moment) if moment > now => format!("in {}", rough(moment.since(now))),
        Ok(moment) => format!("{} ago", rough(now.since(moment))),
        Err(_) => text.to_owned(),
    }
}

/// `moment (3m ago)`.
pub(crate) fn exact(text: &str, now: Timestamp) -> String {
    match time::parse(text) {
        Ok(_) => format!("{text} ({})", relative(text, now)),
        Err(_) => text.to_owned(),
    }
}

/// The largest unit only: who reads `3m ago` does not care for seconds.
pub(crate) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_told_from_now() {
        let now = time::parse("2026-01-31T12:00:00Z").unwrap();
        let cases = [
            ("2026-01-31T12:00:00Z", "0s ago"),
            ("2026-01-31T11:59:01.5Z", "58s ago"),
            ("2026-01-31T11:00:00Z", "1h ago"),
            ("2026-01-29T11:00:00Z", "2d ago"),
            ("2026-01-31T12:10:00Z", "in 10m"),
            ("some day", "some day"),
        ];
        for (text, want) in cases {
            assert_eq!(relative(text, now), want, "{text}");
        }
        assert_eq!(exact("2026-01-31T11:00:00Z", now), "2026-01-31T11:00:00Z (1h ago)");
    }

    #[test]
    fn durations_are_read_as_the_server_reads_them() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert!(duration("soon").unwrap_err().contains("90s"));
    }
}
