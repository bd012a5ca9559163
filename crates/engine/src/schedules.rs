//! Schedules are set up, changed and looked at.

use tasklane_core::accept::Submission;
use tasklane_core::error::StoreError;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::schedule::timetable::{Timetable, TimetableError};
use tasklane_core::schedule::{Came, Rule, Schedule, ScheduleId, Slot, Source};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use thiserror::Error;

use crate::calls::SubmitError;
use crate::handle::Engine;

/// How often a change is tried again where somebody else changes the same schedule, which every slot does.
const TRIES: usize = 10;

/// A schedule to be set up.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// No other one of its tenant has it.
    pub name: Box<str>,
    /// Who sets it up.
    pub source: Source,
    /// What is asked of it.
    pub rule: Rule,
    /// Whether it begins paused.
    pub paused: bool,
}

/// A schedule as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// Which.
    pub id: ScheduleId,
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub schedule: Schedule,
}

/// Why a schedule was not set up or changed.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// There is none of that id.
    #[error("there is no such schedule")]
    NotFound,
    /// Another one of the tenant has its name.
    #[error("another schedule has this name")]
    NameTaken,
    /// Its slots would never come, or too often.
    #[error(transparent)]
    Timetable(#[from] TimetableError),
    /// It was changed again and again meanwhile.
    #[error("somebody else changes this schedule all the while; try again")]
    Busy,
    /// Its task was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Sets a schedule up.
    ///
    /// # Errors
    /// [`ScheduleError::NameTaken`], [`ScheduleError::Timetable`], or the store did not answer.
    pub async fn make_schedule(&self, new: NewSchedule) -> Result<Scheduled, ScheduleError> {
        let NewSchedule { name, source, rule, paused } = new;
        let (now, id) = (self.now(), self.draw_id().0);
        let schedule = Schedule::new(rule, source, now)?.paused(paused, now)?;
        let before = Content { tenant: "".into(), name: Some(name.clone()), due: None, body: "".into() };
        self.set(id, None, Some(content(&before, &schedule))).await?;
        Ok(Scheduled { id: ScheduleId(id), name, schedule })
    }

    /// A schedule; `None`: there is none of that id.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn schedule(&self, id: ScheduleId) -> Result<Option<Scheduled>, StoreError> {
        let record = self.inside().store.records().one(Kind::Schedule, id.0).await?;
        Ok(record.as_ref().and_then(scheduled))
    }

    /// At most `most` schedules of a tenant, or of all, in the order of their ids, those after `after`.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn schedules(
        &self,
        tenant: Option<Box<str>>,
        after: Option<ScheduleId>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        let query = RecordQuery { kind: Kind::Schedule, tenant, after: after.map(|it| it.0), most };
        let records = self.inside().store.records().page(query).await?;
        Ok(records.iter().filter_map(scheduled).collect())
    }

    /// Gives a schedule another rule, from now on; tasks that were made are not touched.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn change_schedule(&self, id: ScheduleId, rule: Rule) -> Result<Scheduled, ScheduleError> {
        self.alter(id, |schedule, now| schedule.with(rule.clone(), now).map(Some)).await
    }

    /// Has nothing come of a schedule's slots, or something again.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn pause_schedule(&self, id: ScheduleId, paused: bool) -> Result<Scheduled, ScheduleError> {
        self.alter(id, |schedule, now| schedule.paused(paused, now).map(Some)).await
    }

    /// Removes a schedule; tasks that were made stay. Answers with what it was.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn remove_schedule(&self, id: ScheduleId) -> Result<Scheduled, ScheduleError> {
        self.alter(id, |_, _| Ok(None)).await
    }

    /// Makes a schedule's task now, beside its slots and whatever else runs.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn run_schedule(&self, id: ScheduleId) -> Result<TaskId, ScheduleError> {
        let Scheduled { schedule, .. } = self.schedule(id).await?.ok_or(ScheduleError::NotFound)?;
        let (now, Rule { when, task, .. }) = (self.now(), schedule.rule);
        let task = task.task(self.draw_id(), Slot { schedule: id, at: now }, now, &when.zone());
        let accepted = self.submit(Submission { tasks: vec![task] }).await?;
        accepted.first().map(|it| it.id).ok_or(ScheduleError::NotFound)
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

    /// Makes a schedule what `change` makes of it, or removes it; answers with what it is now, or was.
    async fn alter(
        &self,
        id: ScheduleId,
        change: impl Fn(Schedule, Timestamp) -> Result<Option<Schedule>, TimetableError>,
    ) -> Result<Scheduled, ScheduleError> {
        for _ in 0..TRIES {
            let record = self.inside().store.records().one(Kind::Schedule, id.0).await?;
            let Some((record, was)) = record.as_ref().and_then(|it| Some((it, scheduled(it)?))) else {
                return Err(ScheduleError::NotFound);
            };
            let changed = change(was.schedule.clone(), self.now())?;
            let to = changed.as_ref().map(|it| content(&record.content, it));
            match self.set(id.0, Some(record.version), to).await {
                Err(ScheduleError::Busy) => {}
                done => return done.map(|()| Scheduled { schedule: changed.unwrap_or(was.schedule), ..was }),
            }
        }
        Err(ScheduleError::Busy)
    }

    /// Busy: somebody else changed it.
    async fn set(&self, id: uuid::Uuid, seen: Option<u64>, to: Option<Content>) -> Result<(), ScheduleError> {
        let set = SetRecord { kind: Kind::Schedule, id, seen, to, then: Vec::new(), slots: Vec::new() };
        let answers = self.inside().commit(Batch { record: vec![set], ..Batch::default() }).await?.answers;
        match answers.record.first() {
            Some(RecordSet::Held(_)) => {
                self.inside().schedules.notify_one();
                Ok(())
            }
            Some(RecordSet::NameTaken) => Err(ScheduleError::NameTaken),
            Some(RecordSet::Changed) | None => Err(ScheduleError::Busy),
        }
    }
}

fn upcoming(timetable: &Timetable, after: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(timetable.next(after), |at| timetable.next(*at)).take(count).collect()
}

/// A schedule in the place of another one, or of none.
pub(crate) fn content(before: &Content, schedule: &Schedule) -> Content {
    let body = serde_json::to_string(schedule).expect("names, texts and numbers are JSON");
    let tenant = schedule.rule.task.tenant.clone();
    Content { tenant, name: before.name.clone(), due: schedule.due(), body: body.into() }
}

/// The schedule that a record holds.
pub(crate) fn read(record: &Record) -> Result<Schedule, serde_json::Error> {
    serde_json::from_str(&record.content.body)
}

/// One that this program cannot read is shown to nobody.
fn scheduled(record: &Record) -> Option<Scheduled> {
    let name = record.content.name.clone().unwrap_or_default();
    let schedule = read(record).ok()?;
    Some(Scheduled { id: ScheduleId(record.id), name, schedule })
}
