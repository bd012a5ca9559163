//! A transition *is* the event that subscribers see.

use std::sync::Arc;

use crate::log::LineId;
use crate::quarantine::Crashing;
use crate::queue::is_of_system;
use crate::state::{Reason, State};
use crate::task::{Lane, Scope, TaskId};
use crate::time::Timestamp;

/// A task went from one state to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Which task.
    pub task: TaskId,
    /// Its queue and type.
    pub lane: Arc<Lane>,
    /// Whose it is.
    pub scope: Arc<Scope>,
    /// Where it came from; `None`: it was accepted.
    pub from: Option<State>,
    /// Where it stands now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The number of its last attempt.
    pub attempt: u32,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// A place in the event log: the number of a commit. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub u64);

/// Where a subscriber goes on: behind a commit of the event log and, of the commit after it, behind the first few events.
/// A task's own stream also knows which log line came last. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Everything up to this commit was seen.
    pub position: Position,
    /// And so many events of the next one.
    pub skip: usize,
    /// The last log line that was seen.
    pub line: Option<LineId>,
}

/// Which events a subscriber sees. Tasks of system queues make none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// In this queue.
    pub queue: Option<Box<str>>,
    /// Of this type.
    pub task_type: Option<Box<str>>,
    /// Of this tenant.
    pub tenant: Option<Box<str>>,
    /// Into one of these states; none is all, unless only types' own events are wanted.
    pub to: Vec<State>,
    /// What is wanted of types' own events.
    pub of_types: OfTypes,
}

/// What a subscriber wants of the events of types themselves, such as [`crate::quarantine::Crashing`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OfTypes {
    /// To see them where it sees tasks in every state.
    #[default]
    WithAll,
    /// To see them.
    Wanted,
}

impl EventFilter {
    /// Whether the subscriber sees it.
    pub fn shows(&self, event: &Transition) -> bool {
        let Lane { queue, task_type } = &*event.lane;
        let is = |wanted: &Option<Box<str>>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        !is_of_system(queue)
            && is(&self.queue, queue)
            && is(&self.task_type, task_type)
            && is(&self.tenant, &event.scope.tenant)
            && (self.to.contains(&event.to) || (self.to.is_empty() && self.of_types == OfTypes::WithAll))
    }

    /// Whether the subscriber sees that a type is crashing: it is the type's affair and no tenant's.
    pub fn shows_crashing(&self, crashing: &Crashing) -> bool {
        let is = |wanted: &Option<Box<str>>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        self.tenant.is_none()
            && is(&self.queue, &crashing.queue)
            && is(&self.task_type, &crashing.task_type)
            && (self.to.is_empty() || self.of_types == OfTypes::Wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_filter_shows_what_fits_and_no_system_tasks() {
        let event = |queue: &str, to| Transition {
            task: TaskId(Uuid::nil()),
            lane: Lane::new(queue, "t"),
            scope: Scope::native(),
            from: None,
            to,
            reason: Reason::Accepted,
            attempt: 0,
            at: Timestamp::EPOCH,
        };
        let all = EventFilter::default();
        assert!(all.shows(&event("q", State::Queued)) && !all.shows(&event("~bulk", State::Queued)));
        let some = EventFilter { queue: Some("q".into()), to: vec![State::Failed], ..EventFilter::default() };
        assert!(some.shows(&event("q", State::Failed)) && !some.shows(&event("q", State::Queued)));
        assert!(!some.shows(&event("p", State::Failed)));
        assert!(!EventFilter { tenant: Some("x".into()), ..all }.shows(&event("q", State::Queued)));
    }

    #[test]
    fn what_a_type_does_is_shown_with_everything_or_where_it_is_asked_for() {
        let at = Timestamp::EPOCH;
        let crashing = Crashing { task_type: "t".into(), queue: "q".into(), tasks: 3, at };
        let all = EventFilter::default();
        let some = EventFilter { to: vec![State::Failed], ..EventFilter::default() };
        let only = EventFilter { of_types: OfTypes::Wanted, ..EventFilter::default() };
        let both = EventFilter { of_types: OfTypes::Wanted, ..some.clone() };
        let shown = [&all, &some, &only, &both].map(|it| it.shows_crashing(&crashing));
        assert_eq!(shown, [true, false, true, true]);
        let failed = Transition {
            task: TaskId(Uuid::nil()),
            lane: Lane::new("q", "t"),
            scope: Scope::native(),
            from: Some(State::Running),
            to: State::Failed,
            reason: Reason::CrashLoop,
            attempt: 3,
            at,
        };
        assert_eq!([&all, &some, &only, &both].map(|it| it.shows(&failed)), [true, true, false, true]);
        assert!(!EventFilter { tenant: Some("x".into()), ..all.clone() }.shows_crashing(&crashing));
        assert!(!EventFilter { queue: Some("p".into()), ..all }.shows_crashing(&crashing));
    }
}
