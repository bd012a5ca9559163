//! The W3C trace context of a submit, handed on to the worker.

use std::sync::Arc;

use http::HeaderMap;
use tasklane_core::accept::NewTask;
use tasklane_core::task::Spec;

/// The `traceparent` of these headers, if it has the form of version 00: anything else is left out, as the
/// recommendation asks.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<Box<str>> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let fits = parts.next() == Some("00")
        && parts.next().is_some_and(|it| hex(it, 32) && it.bytes().any(|digit| digit != b'0'))
        && parts.next().is_some_and(|it| hex(it, 16) && it.bytes().any(|digit| digit != b'0'))
        && parts.next().is_some_and(|it| hex(it, 2))
        && parts.next().is_none();
    fits.then(|| text.into())
}

/// Gives a task the trace context.
pub(super) fn trace(task: &mut NewTask, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        let spec = Spec { traceparent: Some(traceparent.into()), ..(*task.spec).clone() };
        task.spec = Arc::new(spec);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_known_form_is_handed_on() {
        let of =
            |text: &str| traceparent(&HeaderMap::from_iter([("traceparent".parse().unwrap(), text.parse().unwrap())]));
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of(good).as_deref(), Some(good));
        for bad in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00-00-00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
