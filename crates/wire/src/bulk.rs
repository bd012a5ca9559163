//! One action to many tasks, as a caller writes it.

use std::collections::BTreeMap;

use tasklane_core::bulk::{Action, Bulk, Mode};
use tasklane_core::limit;
use tasklane_core::ports::store::TaskFilter;
use tasklane_core::state::State;

use crate::json::{Kind, Value};
use crate::name;
use crate::read::{self, Findings, Mistake, Path, put};

/// Longest search text, in bytes.
pub const SEARCH_BYTES: usize = 200;

#[derive(Default)]
struct Draft {
    filter: Option<TaskFilter>,
    action: Option<Action>,
    mode: Option<Mode>,
}

/// Reads `{filter, action, dry_run?}`; everything wrong with it is noted. A filter names at least one member, so that
/// nobody takes everything by leaving something out.
pub fn read(value: Value<'_>, findings: &mut Findings) -> Option<Bulk> {
    let (mut draft, at, noted) = (Draft::default(), Path::ROOT, findings.len());
    read::object(value, &at, findings, |key, value, at, findings| match key {
        "filter" => put(&mut draft.filter, filter(value, at, findings), at, findings),
        "action" => put(&mut draft.action, action(value, at, findings), at, findings),
        "dry_run" => put(&mut draft.mode, mode(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    if findings.len() == noted {
        for (key, missing) in [("filter", draft.filter.is_none()), ("action", draft.action.is_none())] {
            if missing {
                findings.missing(&at.key(key));
            }
        }
    }
    Some(Bulk { filter: draft.filter?, action: draft.action?, mode: draft.mode.unwrap_or_default() })
}

fn action(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Action> {
    let action = Action::from_word(&read::string(value, at, findings)?);
    if action.is_none() {
        findings.invalid(at, "must be cancel, retry or delete");
    }
    action
}

fn mode(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Mode> {
    let dry = read::bool(value, at, findings)?;
    Some(if dry { Mode::DryRun } else { Mode::Apply })
}

fn filter(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<TaskFilter> {
    let (mut filter, mut named, noted) = (TaskFilter::default(), None, findings.len());
    read::object(value, at, findings, |key, value, at, findings| {
        let text = |value, findings: &mut Findings| name::name(value, at, findings).map(Box::from);
        match key {
            "state" => put(&mut filter.state, state(value, at, findings), at, findings),
            "type" => {
                put(&mut filter.task_type, name::task_type(value, at, findings).map(Box::from), at, findings);
            }
            "queue" => put(&mut filter.queue, text(value, findings), at, findings),
            "tenant" => put(&mut filter.tenant, text(value, findings), at, findings),
            "labels" => put(&mut named, Some(labels(value, at, findings)), at, findings),
            "created_after" => put(&mut filter.created_after, read::moment(value, at, findings), at, findings),
            "created_before" => put(&mut filter.created_before, read::moment(value, at, findings), at, findings),
            "q" => put(&mut filter.search, search(value, at, findings), at, findings),
            _ => findings.unknown(at),
        }
    });
    filter.labels = named.unwrap_or_default();
    if filter == TaskFilter::default() && value.kind() == Kind::Object && findings.len() == noted {
        findings
            .invalid(at, "name at least one of state, type, queue, tenant, labels, created_after, created_before, q");
    }
    Some(filter)
}

fn state(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<State> {
    let state = State::from_word(&read::string(value, at, findings)?);
    if state.is_none() {
        let words: Vec<_> = State::ALL.iter().map(|it| it.as_str()).collect();
        findings.invalid(at, format!("must be one of {}", words.join(", ")));
    }
    state
}

fn labels(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Vec<(Box<str>, Box<str>)> {
    let mut labels: BTreeMap<Box<str>, Option<Box<str>>> = BTreeMap::new();
    read::object(value, at, findings, |key, value, at, findings| {
        if !name::is_name(key) {
            return findings.invalid(at, "a label's name must be 1 to 200 bytes without control characters");
        }
        let text = read::string(value, at, findings).map(|it| Box::from(&*it));
        put(labels.entry(key.into()).or_default(), text, at, findings);
    });
    if labels.len() > limit::LABELS {
        findings.note(Mistake::TooLarge, at, format!("has more than {} labels", limit::LABELS));
    }
    labels.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

fn search(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Box<str>> {
    let text = read::string(value, at, findings)?;
    if text.is_empty() || text.len() > SEARCH_BYTES {
        findings.invalid(at, format!("must have 1 to {SEARCH_BYTES} bytes"));
        return None;
    }
    Some((*text).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json::validate;

    fn errors(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        read(Value::new(validate(text.as_bytes(), 1).unwrap()), &mut findings);
        findings.into_errors().into_iter().map(|it| it.path).collect()
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        assert_eq!(
            errors(r#"{"filter":{"state":"failed","labels":{"a":"b"}},"action":"retry","dry_run":true}"#).len(),
            0
        );
        assert_eq!(errors("{}"), ["/filter", "/action"]);
        assert_eq!(errors(r#"{"filter":{},"action":"cancel"}"#), ["/filter"]);
        assert_eq!(errors(r#"{"filter":{"state":"x","all":1},"action":"purge"}"#).len(), 3);
        let twice = r#"{"filter":{"labels":{"a":"b","a":"c"},"labels":{}},"action":"delete"}"#;
        assert_eq!(errors(twice), ["/filter/labels/a", "/filter/labels"]);
        assert_eq!(errors(r#"{"filter":{"q":""},"action":"cancel"}"#)[0], "/filter/q");
    }
}
