//! How long a caller waits for a task's end: `?wait=30s`, or `Prefer: wait=30` (RFC 7240).

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tasklane_core::limit;

use crate::query::Query;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The wait that is asked for; the query's word is law, the header's a wish that is cut to what is allowed.
pub(super) fn wait(query: &mut Query, headers: &HeaderMap) -> Duration {
    let law = query.duration("wait", limit::RESULT_WAIT);
    law.or_else(|| wish(headers)).unwrap_or_default()
}

fn wish(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all(PREFER).iter().filter_map(|it| it.to_str().ok());
    let seconds = texts.flat_map(|it| it.split([',', ';'])).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse().ok())?
    })?;
    Some(Duration::from_secs(seconds).min(limit::RESULT_WAIT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_preference_is_a_wish() {
        let wish_of =
            |text: &str| wish(&HeaderMap::from_iter([(PREFER, text.parse().unwrap())])).map(|it| it.as_secs());
        assert_eq!(wish_of("wait=30"), Some(30));
        assert_eq!(wish_of("respond-async, Wait=\"5\""), Some(5));
        assert_eq!(wish_of("wait=3600"), Some(60), "cut to what is allowed");
        for text in ["wait", "wait=soon", "await=3", "return=minimal", "wait=-1"] {
            assert_eq!(wish_of(text), None, "{text}");
        }
    }
}
