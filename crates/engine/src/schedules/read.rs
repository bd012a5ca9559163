//! What there is of schedules, what is to come of them and what came.

use std::collections::HashMap;

use tasklane_core::error::StoreError;
use tasklane_core::record::{Kind, Order, RecordQuery};
use tasklane_core::schedule::timetable::{Timetable, TimetableError};
use tasklane_core::schedule::{Came, Rule, ScheduleId};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::{Run, ScheduleError, ScheduleQuery, Scheduled, scheduled};
use crate::handle::Engine;

impl Engine {
    /// A schedule; `None`: there is none of that id.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn schedule(&self, id: ScheduleId) -> Result<Option<Scheduled>, StoreError> {
        let record = self.inside().store.records().one(Kind::Schedule, id.0).await?;
        Ok(record.as_ref().and_then(scheduled))
    }

    /// A page of schedules, in the order of their ids.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn schedules(&self, query: ScheduleQuery) -> Result<Vec<Scheduled>, StoreError> {
        let ScheduleQuery { tenant, name, after, most } = query;
        let query =
            RecordQuery { kind: Kind::Schedule, tenant, name, order: Order::Oldest, after: after.map(|it| it.0), most };
        self.readable(query, scheduled).await
    }

    /// The next slots of a rule, were it set up now.
    ///
    /// # Errors
    /// [`TimetableError`].
    pub fn preview(&self, rule: &Rule, count: usize) -> Result<Vec<Timestamp>, TimetableError> {
        let now = self.now();
        let timetable = Timetable::new(&rule.when, now, rule.starts_at, rule.ends_at)?;
        Ok(upcoming(&timetable, now, count))
    }

    /// The next slots of a schedule, whether it is paused or not.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn upcoming(&self, id: ScheduleId, count: usize) -> Result<Vec<Timestamp>, ScheduleError> {
        let Scheduled { schedule, .. } = self.schedule(id).await?.ok_or(ScheduleError::NotFound)?;
        Ok(upcoming(&schedule.timetable()?, self.now(), count))
    }

    /// What the last slots of a schedule came to, those before `before`, newest first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn slots(
        &self,
        id: ScheduleId,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<(Timestamp, Came)>, StoreError> {
        self.inside().store.records().slots(id.0, before, most).await
    }

    /// The same, with where the tasks stand that are still kept.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn runs(&self, id: ScheduleId, before: Option<Timestamp>, most: usize) -> Result<Vec<Run>, StoreError> {
        let slots = self.slots(id, before, most).await?;
        let made = slots.iter().filter_map(|(_, came)| if let Came::Made(task) = came { Some(*task) } else { None });
        let made: Vec<TaskId> = made.collect();
        let facts = self.inside().store.facts(made.clone()).await?;
        let states: HashMap<TaskId, State> =
            made.into_iter().zip(facts).filter_map(|(id, facts)| Some((id, facts?.state))).collect();
        let state = |came| if let Came::Made(task) = came { states.get(&task).copied() } else { None };
        Ok(slots.into_iter().map(|(at, came)| (at, came, state(came))).collect())
    }
}

fn upcoming(timetable: &Timetable, after: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(timetable.next(after), |at| timetable.next(*at)).take(count).collect()
}
