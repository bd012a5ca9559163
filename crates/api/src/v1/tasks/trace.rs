//! The W3C trace context of a submit, handed on to the worker.

use std::sync::Arc;

use http::HeaderMap;
use tasklane_core::accept::NewTask;
use tasklane_core::task::Spec;

/// The `traceparent` of these headers, as version 00 writes it: of a later version its first four parts, as the
/// recommendation asks (W3C Trace Context, "Versioning of traceparent"). Anything else is left out, and so are two of them.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<Box<str>> {
    let mut given = headers.get_all("traceparent").iter();
    let text = given.next().filter(|_| given.next().is_none())?.to_str().ok()?;
    let (version, rest) = text.split_once('-')?;
    let later = |it: &u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    if version == "00" {
        return version_00(text);
    }
    if version.len() != 2 || version == "ff" || !version.bytes().all(|it| later(&it)) {
        return None;
    }
    // What a later version adds stands behind a hyphen.
    let (known, added) = rest.split_at_checked(VERSION_00 - 3)?;
    if added.is_empty() || added.starts_with('-') { version_00(&format!("00-{known}")) } else { None }
}

/// Characters of a traceparent of version 00.
const VERSION_00: usize = 55;

fn version_00(text: &str) -> Option<Box<str>> {
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
        let later = good.replacen("00", "cc", 1);
        assert_eq!(of(&later).as_deref(), Some(good));
        assert_eq!(of(&format!("{later}-what-the-future-holds")).as_deref(), Some(good));
        for bad in [
            "",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
            "00-00-00-00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
