//! Which tasks a list shows, judged on the task: every store means the same by a filter.

use tasklane_core::ports::store::TaskFilter;
use tasklane_core::queue::is_meant;
use tasklane_core::task::{Facts, Lane, Scope, Task};

/// Whether a task of this lane and scope may be shown; what can be told without the task itself.
pub(crate) fn lane_fits(filter: &TaskFilter, lane: &Lane, scope: &Scope) -> bool {
    let is = |wanted: &Option<Box<str>>, word: &str| wanted.as_ref().is_none_or(|it| **it == *word);
    is_meant(filter.queue.as_deref(), &lane.queue)
        && is(&filter.task_type, &lane.task_type)
        && is(&filter.tenant, &scope.tenant)
        && is(&filter.origin, &scope.origin)
}

/// Whether the rest fits too.
pub(crate) fn task_fits(filter: &TaskFilter, task: &Task) -> bool {
    filter.hidden.shows(task.hidden_at)
        && filter.state.is_none_or(|it| it == task.facts.state)
        && (filter.states.is_empty() || filter.states.contains(&task.facts.state))
        && filter.search.as_ref().is_none_or(|it| is_found(it, &task.facts))
        && filter.created_after.is_none_or(|it| task.created_at >= it)
        && filter.created_before.is_none_or(|it| task.created_at < it)
        && filter.labels.iter().all(|(key, value)| task.facts.spec.labels.get(key) == Some(value))
}

/// Whether a scope's tasks belong to this interface and, if one is named, this tenant.
pub(crate) fn scope_is_of(scope: &Scope, origin: &str, tenant: Option<&str>) -> bool {
    *scope.origin == *origin && tenant.is_none_or(|it| *scope.tenant == *it)
}

/// Whether a search finds a task: by the beginning of its id, or within its type, unique key or a label's value.
fn is_found(search: &str, facts: &Facts) -> bool {
    let spec = &facts.spec;
    facts.lane.task_type.contains(search)
        || spec.unique.as_ref().is_some_and(|unique| unique.key.contains(search))
        || spec.labels.values().any(|value| value.contains(search))
        || facts.id.to_string().starts_with(search)
}
