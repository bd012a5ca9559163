//! Gates and strands as both databases keep them. A strand is what one lane has of tasks of one tenant with the same keys:
//! they wait for the same gates, so where one may not start none may.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_core::gate::{GateName, SetBy, no_keys};

use super::{Damaged, Result};

/// The columns of a gate's name: its kind, its tenant, its key. Their order, byte by byte, is that of the names.
pub(crate) fn columns(name: &GateName) -> (i16, &str, &str) {
    match name {
        GateName::Queue(queue) => (1, "", queue),
        GateName::Type(task_type) => (2, "", task_type),
        GateName::Key { tenant, key } => (3, tenant, key),
    }
}

/// The name in these [`columns`].
pub(crate) fn name(kind: i16, tenant: &str, key: &str) -> Result<GateName> {
    match kind {
        1 => Ok(GateName::Queue(key.into())),
        2 => Ok(GateName::Type(key.into())),
        3 => Ok(GateName::Key { tenant: tenant.into(), key: key.into() }),
        _ => Err(Damaged::new("a gate of no known kind")),
    }
}

/// The number of who said what a gate lets through.
pub(crate) fn set_by_code(by: SetBy) -> i16 {
    match by {
        SetBy::Task => 1,
        SetBy::Config => 2,
        SetBy::Operator => 3,
    }
}

/// Who has this number.
pub(crate) fn set_by(code: i16) -> Result<SetBy> {
    [SetBy::Task, SetBy::Config, SetBy::Operator]
        .into_iter()
        .find(|by| set_by_code(*by) == code)
        .ok_or_else(|| Damaged::new("a gate that nobody known has set"))
}

/// Bounds, starts, or the keys of a strand, as text.
pub(crate) fn text(of: &impl Serialize) -> Result<String> {
    serde_json::to_string(of).map_err(|error| Damaged::new(format!("a gate cannot be written: {error}")))
}

/// What [`text`] made.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Damaged::new(format!("a gate cannot be read: {error}")))
}

/// The keys of a strand.
pub(crate) fn keys(text: &str) -> Result<Arc<[Box<str>]>> {
    let keys: Vec<Box<str>> = read(text)?;
    Ok(if keys.is_empty() { no_keys() } else { keys.into() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tasklane_core::gate::{Bounds, Rate, Starts};
    use tasklane_core::time::Timestamp;

    use super::*;

    #[test]
    fn names_lead_back_and_stand_in_their_order() {
        let key = |tenant: &str, key: &str| GateName::Key { tenant: tenant.into(), key: key.into() };
        let names = [GateName::Queue("b".into()), GateName::Type("a".into()), key("", "b"), key("a", "a")];
        assert!(names.is_sorted() && names.each_ref().map(columns).is_sorted());
        for name in &names {
            let (kind, tenant, key) = columns(name);
            assert_eq!(super::name(kind, tenant, key).as_ref().ok(), Some(name));
        }
        assert!(name(4, "", "a").is_err());
        for by in [SetBy::Task, SetBy::Config, SetBy::Operator] {
            assert_eq!(set_by(set_by_code(by)).ok(), Some(by));
        }
        assert!(set_by(0).is_err());
    }

    #[test]
    fn bounds_starts_and_keys_lead_back() {
        let rate = Rate { count: 3, per: Duration::from_millis(1500) };
        let bounds = Bounds { max_running: Some(4), rate: Some(rate) };
        let mut starts = Starts::default();
        starts.take(rate, Timestamp::from_micros(77), 2);
        let there = |text: Result<String>| text.expect("what can be written");
        assert_eq!(read::<Bounds>(&there(text(&bounds))).ok(), Some(bounds));
        assert_eq!(read::<Starts>(&there(text(&starts))).ok(), Some(starts));
        let named: Arc<[Box<str>]> = ["a\0".into(), "\"b".into()].into();
        assert_eq!(keys(&there(text(&named))).ok(), Some(named));
        assert!(keys("[1]").is_err() && keys("[]").is_ok_and(|it| it.is_empty()));
    }
}
