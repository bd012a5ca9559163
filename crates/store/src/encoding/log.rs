//! The event log: one row a commit. Its body is a list of groups of tasks that went the same way:
//!
//! `from << 4 | to` as counted (0: did not exist, was removed) · reason · lane · scope · attempt · how many · their ids,
//!
//! numbers as varints, each id as the zigzag difference from the one before it in the body.

use std::sync::Arc;

use tasklane_core::event::Transition;
use tasklane_core::queue::Counted;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;

use super::varint::{Bytes, put};
use super::{Damaged, LaneNo, Numbered, Result, ScopeNo};

/// What the tasks of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub from: Option<Counted>,
    /// `None`: removed.
    pub to: Option<Counted>,
    /// `None`: no transition; it was removed or hidden.
    pub reason: Option<Reason>,
    pub lane: LaneNo,
    pub scope: ScopeNo,
    pub attempt: u32,
}

impl Way {
    /// How a task of this lane and scope came from `from` to where it is.
    pub(crate) fn of(task: &Task, from: Option<State>, lane: LaneNo, scope: ScopeNo) -> Self {
        let (from, to) = (from.map(Counted::In), Some(task.counted()));
        Self { from, to, reason: Some(task.reason), lane, scope, attempt: task.facts.attempt }
    }

    /// How one that was counted as `from` became hidden.
    pub(crate) fn hidden(task: &Task, from: Counted, lane: LaneNo, scope: ScopeNo) -> Self {
        Self { from: Some(from), reason: None, ..Self::of(task, None, lane, scope) }
    }

    /// How one that was counted as `from` is no more.
    pub(crate) fn removed(from: Counted, lane: LaneNo, scope: ScopeNo, attempt: u32) -> Self {
        Self { from: Some(from), to: None, reason: None, lane, scope, attempt }
    }
}

/// The body of a commit under way.
#[derive(Default)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    way: Option<Way>,
    ids: Vec<TaskId>,
    last: u128,
}

impl Body {
    /// Adds one task. Answers with the group that this ends, for the counters.
    pub(crate) fn add(&mut self, way: Way, id: TaskId) -> Option<(Way, i64)> {
        let ended = if self.way == Some(way) { None } else { self.end_group() };
        self.way = Some(way);
        self.ids.push(id);
        ended
    }

    /// Ends the open group.
    pub(crate) fn end_group(&mut self) -> Option<(Way, i64)> {
        let way = self.way.take()?;
        let code = |counted: Option<Counted>| counted.map_or(0, Counted::code);
        self.bytes.push(code(way.from) << 4 | code(way.to));
        self.bytes.push(way.reason.map_or(0, Reason::code));
        for number in [way.lane.0, way.scope.0, way.attempt, self.ids.len() as u32] {
            put(&mut self.bytes, number.into());
        }
        for id in &self.ids {
            let id = id.0.as_u128();
            let difference = id.wrapping_sub(self.last) as i128;
            put(&mut self.bytes, ((difference << 1) ^ (difference >> 127)) as u128);
            self.last = id;
        }
        let length = self.ids.len() as i64;
        self.ids.clear();
        Some((way, length))
    }

    /// The bytes; every group has ended.
    pub(crate) fn bytes(&self) -> &[u8] {
        debug_assert!(self.way.is_none(), "the last group is ended before the body is written");
        &self.bytes
    }
}

/// What every body holds in which a row of crashes quarantined a task; few others do. It lets a database pass over those
/// that have it not.
pub(crate) fn crash_loop() -> [u8; 2] {
    let (from, to) = (Counted::In(State::Running), Counted::In(State::Failed));
    [from.code() << 4 | to.code(), Reason::CrashLoop.code()]
}

/// Calls `each` with every group of a body.
pub(crate) fn read(body: &[u8], mut each: impl FnMut(Way, &[TaskId])) -> Result<()> {
    let (mut bytes, mut ids, mut last) = (Bytes(body), Vec::new(), 0_u128);
    while !bytes.is_empty() {
        let (states, reason) = (bytes.byte()?, bytes.byte()?);
        let way = Way {
            from: Counted::from_code(states >> 4),
            to: Counted::from_code(states & 0xf),
            reason: Reason::from_code(reason),
            lane: LaneNo(bytes.fitting()?),
            scope: ScopeNo(bytes.fitting()?),
            attempt: bytes.fitting()?,
        };
        if way.from.is_none() && way.to.is_none() {
            return Err(Damaged::new("an event of no state"));
        }
        let length: u32 = bytes.fitting()?;
        ids.clear();
        for _ in 0..length {
            let zigzag = bytes.number()?;
            let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
            last = last.wrapping_add(difference);
            ids.push(TaskId::from_bytes(last.to_be_bytes()));
        }
        each(way, &ids);
    }
    Ok(())
}

/// The events of a body; to be removed or hidden is none.
pub(crate) fn events(body: &[u8], at: Timestamp, names: &impl Numbered, out: &mut Vec<Transition>) -> Result<()> {
    let mut unknown = None;
    read(body, |way, ids| {
        let Way { to: Some(to), reason: Some(reason), .. } = way else { return };
        match (names.lane_of(way.lane), names.scope_of(way.scope)) {
            (Ok(lane), Ok(scope)) => out.extend(ids.iter().map(|task| Transition {
                task: *task,
                lane: Arc::clone(lane),
                scope: Arc::clone(scope),
                from: way.from.map(Counted::state),
                to: to.state(),
                reason,
                attempt: way.attempt,
                at,
            })),
            (Err(fault), _) | (_, Err(fault)) => unknown = Some(fault),
        }
    })?;
    unknown.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use tasklane_core::accept::{Deadlines, NewTask, Start, UniquePolicy};
    use tasklane_core::gate::Limit;
    use tasklane_core::task::{Lane, Scope, Spec};

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_task_comes_goes_is_hidden_and_is_no_more() {
        let new = NewTask {
            id: TaskId::from_bytes([1; 16]),
            lane: Lane::new("q", "t"),
            scope: Scope::native(),
            payload: "1".into(),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        };
        let (mut task, at) = (new.into_task(Timestamp::EPOCH), Timestamp::EPOCH);
        let (lane, scope) = (LaneNo(5), ScopeNo(6));
        let queued = Some(Counted::In(State::Queued));
        let came = Way { from: None, to: queued, reason: Some(Reason::Accepted), lane, scope, attempt: 0 };
        assert_eq!(Way::of(&task, None, lane, scope), came);
        (task.facts.state, task.facts.attempt, task.reason) = (State::Failed, 2, Reason::Permanent);
        let failed = Counted::In(State::Failed);
        let went = Way { from: queued, to: Some(failed), reason: Some(Reason::Permanent), attempt: 2, ..came };
        assert_eq!(Way::of(&task, Some(State::Queued), lane, scope), went);
        task.hidden_at = Some(at);
        let (from, hidden) = (Some(failed), Counted::Deleted(State::Failed));
        assert_eq!(Way::hidden(&task, failed, lane, scope), Way { from, to: Some(hidden), reason: None, ..went });
        assert_eq!(Way::removed(hidden, lane, scope, 2), Way { from: Some(hidden), to: None, reason: None, ..went });
    }

    proptest! {
        #[test]
        fn leads_back(groups in proptest::collection::vec((any::<u32>(), 1_u32..9, proptest::collection::vec(any::<u128>(), 1..5)), 0..9)) {
            let mut body = Body::default();
            let mut written = Vec::new();
            for (lane, attempt, ids) in groups {
                let way = Way {
                    from: Some(State::Queued.into()), to: Some(State::Running.into()), reason: Some(Reason::Leased),
                    lane: LaneNo(lane), scope: ScopeNo(3), attempt,
                };
                for id in ids {
                    let id = TaskId::from_bytes(id.to_be_bytes());
                    body.add(way, id);
                    written.push((way, id));
                }
            }
            body.end_group();
            let mut found = Vec::new();
            read(body.bytes(), |way, ids| found.extend(ids.iter().map(|id| (way, *id)))).expect("what was written");
            prop_assert_eq!(found, written);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes, |_, _| {});
        }
    }
}
