//! Schedules are set up, changed and looked at.

mod config;
mod read;

use tasklane_core::audit::{Deed, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, Record, RecordSet, SetRecord};
use tasklane_core::schedule::timetable::TimetableError;
use tasklane_core::schedule::{Came, Rule, Schedule, ScheduleId, Slot, Source};
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;
use thiserror::Error;

use crate::audit::Note;
use crate::calls::{SubmitError, Submitted};
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

/// What a schedule is to be from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleChange {
    /// Its name.
    pub name: Box<str>,
    /// What is asked of it.
    pub rule: Rule,
    /// Whether nothing comes of its slots.
    pub paused: bool,
}

/// Which schedules a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleQuery {
    /// Of this tenant; `None` is all.
    pub tenant: Option<Box<str>>,
    /// Of this name; `None` is any.
    pub name: Option<Box<str>>,
    /// Those after this one.
    pub after: Option<ScheduleId>,
    /// At most so many.
    pub most: usize,
}

/// A slot that came, and where its task stands.
pub type Run = (Timestamp, Came, Option<State>);

/// Why a schedule was not set up or changed.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// There is none of that id.
    #[error("there is no such schedule")]
    NotFound,
    /// Another one of the tenant has its name.
    #[error("another schedule has this name")]
    NameTaken,
    /// The configuration says what it is.
    #[error("this schedule is set up by the configuration")]
    OfConfig,
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
        let note = self.note_of_schedule(&name, None, Some(&schedule));
        self.set(id, None, Some(content(&name, &schedule)), note).await?;
        Ok(Scheduled { id: ScheduleId(id), name, schedule })
    }

    /// Makes a schedule, of this tenant if one is given, what `change` makes of it, from now on; tasks that were made are not
    /// touched.
    ///
    /// # Errors
    /// [`ScheduleError`]; [`ScheduleError::OfConfig`], as the next start of a server would undo it.
    pub async fn change_schedule(
        &self,
        id: ScheduleId,
        tenant: Option<&str>,
        change: impl Fn(&Scheduled) -> ScheduleChange,
    ) -> Result<Scheduled, ScheduleError> {
        self.alter(id, tenant, |was, now| {
            was.ask_caller()?;
            let ScheduleChange { name, rule, paused } = change(&was);
            let schedule = if rule == was.schedule.rule { was.schedule } else { was.schedule.with(rule, now)? };
            Ok(Some(Scheduled { id, name, schedule: schedule.paused(paused, now)? }))
        })
        .await
    }

    /// Has nothing come of a schedule's slots, or something again; of this tenant's, if one is given.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn pause_schedule(
        &self,
        id: ScheduleId,
        tenant: Option<&str>,
        paused: bool,
    ) -> Result<Scheduled, ScheduleError> {
        self.alter(id, tenant, |was, now| Ok(Some(Scheduled { schedule: was.schedule.paused(paused, now)?, ..was })))
            .await
    }

    /// Removes a schedule, of this tenant if one is given; tasks that were made stay. Answers with what it was.
    ///
    /// # Errors
    /// [`ScheduleError`]; [`ScheduleError::OfConfig`], as the next start of a server would undo it.
    pub async fn remove_schedule(&self, id: ScheduleId, tenant: Option<&str>) -> Result<Scheduled, ScheduleError> {
        self.alter(id, tenant, |was, _| was.ask_caller().map(|()| None)).await
    }

    /// Makes a schedule's task now, beside its slots and whatever else runs.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn run_schedule(&self, id: ScheduleId) -> Result<Submitted, ScheduleError> {
        let Scheduled { schedule, .. } = self.schedule(id).await?.ok_or(ScheduleError::NotFound)?;
        let (now, Rule { when, task, .. }) = (self.now(), schedule.rule);
        let task = task.task(self.draw_id(), Slot { schedule: id, at: now }, now, &when.zone());
        Ok(self.submit_one(task).await?)
    }

    /// Makes a schedule what `change` makes of it, or removes it; answers with what it is now, or was.
    async fn alter(
        &self,
        id: ScheduleId,
        tenant: Option<&str>,
        change: impl Fn(Scheduled, Timestamp) -> Result<Option<Scheduled>, ScheduleError>,
    ) -> Result<Scheduled, ScheduleError> {
        for _ in 0..TRIES {
            let record = self.inside().store.records().one(Kind::Schedule, id.0).await?;
            let Some((record, was)) = record.as_ref().and_then(|it| Some((it, scheduled(it)?))) else {
                return Err(ScheduleError::NotFound);
            };
            // Somebody else may have moved it meanwhile.
            if tenant.is_some_and(|own| *own != *was.schedule.rule.task.tenant) {
                return Err(ScheduleError::NotFound);
            }
            let changed = change(was.clone(), self.now())?;
            let to = changed.as_ref().map(|it| content(&it.name, &it.schedule));
            let note = self.note_of_schedule(&was.name, Some(&was.schedule), changed.as_ref().map(|it| &it.schedule));
            match self.set(id.0, Some(record.version), to, note).await {
                Err(ScheduleError::Busy) => {}
                done => return done.map(|()| changed.unwrap_or(was)),
            }
        }
        Err(ScheduleError::Busy)
    }

    fn note_of_schedule(&self, name: &str, was: Option<&Schedule>, is: Option<&Schedule>) -> Option<Box<SetRecord>> {
        let deed = match (was, is) {
            (None, _) => Deed::ScheduleMade,
            (Some(_), Some(_)) => Deed::ScheduleChanged,
            (Some(_), None) => Deed::ScheduleRemoved,
        };
        let tenant = is.or(was).map_or("", |it| &it.rule.task.tenant);
        let [before, after] = [was, is].map(|it| it.map(Thing::schedule));
        self.noted(Note { deed, what: name, tenant, before, after })
    }

    /// Busy: somebody else changed it.
    async fn set(
        &self,
        id: uuid::Uuid,
        seen: Option<u64>,
        to: Option<Content>,
        also: Option<Box<SetRecord>>,
    ) -> Result<(), ScheduleError> {
        let set = SetRecord { also, ..SetRecord::new(Kind::Schedule, id, seen, to) };
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

impl Scheduled {
    fn is_of_config(&self) -> bool {
        self.schedule.source == Source::Config
    }

    /// Refuses what only the configuration may do to its own.
    fn ask_caller(&self) -> Result<(), ScheduleError> {
        if self.is_of_config() { Err(ScheduleError::OfConfig) } else { Ok(()) }
    }
}

/// What is kept of a schedule of this name.
pub(crate) fn content(name: &str, schedule: &Schedule) -> Content {
    let body = serde_json::to_string(schedule).expect("names, texts and numbers are JSON");
    let tenant = schedule.rule.task.tenant.clone();
    Content { tenant, name: Some(name.into()), due: schedule.due(), body: body.into() }
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
