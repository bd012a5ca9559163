//! Schedules: rules that make tasks at times.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use tasklane_core::schedule::{CatchUp, Overlap, ScheduleId};
use tasklane_wire::schedule::{
    MissedDraft, PreviewShape, RunShape, ScheduleDraft, ScheduleShape, SlotShape, WhenDraft,
};
use tasklane_wire::task::{Page, Task};

use crate::client::Client;
use crate::error::Error;
use crate::new_task::{NewTask, timestamp};
use crate::transport::{Call, segment};

/// What is said of a schedule: all of it where one is made, some of it where one is changed.
///
/// ```
/// use std::time::Duration;
/// use tasklane_client::{NewTask, Overlap, SetSchedule};
///
/// let report = NewTask::json("report.generate", r#"{"day": "{slot.date}"}"#);
/// let nightly = SetSchedule::new("nightly", report).cron("0 3 * * *").timezone("Europe/Berlin").overlap(Overlap::Skip);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a schedule is nothing until it is made"]
pub struct SetSchedule {
    draft: ScheduleDraft<'static>,
    task: Option<NewTask>,
}

impl SetSchedule {
    /// A schedule of this name whose slots make this task. In the texts of its payload `{slot}`, `{slot.local}`,
    /// `{slot.date}`, `{slot.time}` and `{slot.unix}` stand for the time of the slot.
    pub fn new(name: impl Into<String>, task: NewTask) -> Self {
        Self::default().name(name).task(task)
    }

    /// Its name: no other one of its tenant has it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.draft.name = Some(Cow::Owned(name.into()));
        self
    }

    /// What each slot makes.
    pub fn task(mut self, task: NewTask) -> Self {
        self.task = Some(task);
        self
    }

    /// Slots come at the moments of this pattern: five fields (minute hour day month weekday), six with seconds first, or
    /// `@daily` and the like.
    pub fn cron(mut self, pattern: impl Into<String>) -> Self {
        self.draft.when = Some(WhenDraft::Cron(Cow::Owned(pattern.into())));
        self
    }

    /// The IANA name of the zone whose clock the pattern means; UTC unless said.
    pub fn timezone(mut self, zone: impl Into<String>) -> Self {
        self.draft.timezone = Some(Cow::Owned(zone.into()));
        self
    }

    /// A slot comes again and again after this long.
    pub fn every(mut self, every: Duration) -> Self {
        self.draft.when = Some(WhenDraft::Every(every));
        self
    }

    /// The only slot comes at this moment.
    pub fn at(mut self, at: SystemTime) -> Self {
        self.draft.when = Some(WhenDraft::At(timestamp(at)));
        self
    }

    /// What a slot does while a task of an earlier one is not finished; it makes its task all the same unless said.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.draft.overlap = Some(overlap);
        self
    }

    /// Which slots are caught up with that came while no server was there, at most `cap` and none older than `window`; the
    /// last one of a day unless said.
    pub fn catch_up(mut self, policy: CatchUp, cap: u32, window: Duration) -> Self {
        self.draft.missed = Some(MissedDraft { policy: Some(policy), cap: Some(cap), window: Some(window) });
        self
    }

    /// Tasks start up to so much after their slot, each by an amount of its own.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.draft.jitter = Some(most);
        self
    }

    /// No slot comes before this; `None` takes such a bound away.
    pub fn starts_at(mut self, at: Option<SystemTime>) -> Self {
        self.draft.starts_at = Some(at.map(timestamp));
        self
    }

    /// No slot comes after this; `None` takes such a bound away.
    pub fn ends_at(mut self, at: Option<SystemTime>) -> Self {
        self.draft.ends_at = Some(at.map(timestamp));
        self
    }

    /// Whether nothing comes of its slots.
    pub fn paused(mut self, paused: bool) -> Self {
        self.draft.paused = Some(paused);
        self
    }

    fn json(self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        match self.task {
            None => self.draft.write(&mut out),
            Some(task) => task.with_shape(|shape| {
                let task = Some(shape.clone());
                ScheduleDraft { task, ..self.draft.clone() }.write(&mut out);
            })?,
        }
        Ok(out)
    }
}

impl Client {
    /// Sets a schedule up.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `name_taken` if another one of the tenant has the name, `invalid` with what is wrong.
    pub async fn make_schedule(&self, new: SetSchedule) -> Result<ScheduleShape, Error> {
        self.transport.send(Call::post("/v1/schedules", new.json()?)).await?.json()
    }

    /// Every schedule, in the order in which they were made.
    ///
    /// # Errors
    /// As the server says.
    pub async fn schedules(&self) -> Result<Vec<ScheduleShape>, Error> {
        let mut page: Page<ScheduleShape> = self.get("/v1/schedules".into()).await?;
        let mut schedules = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/schedules?cursor={}", segment(&cursor))).await?;
            schedules.append(&mut page.items);
        }
        Ok(schedules)
    }

    /// The schedules of this name: one, unless several tenants have one.
    ///
    /// # Errors
    /// As the server says.
    pub async fn schedules_named(&self, name: &str) -> Result<Vec<ScheduleShape>, Error> {
        let page: Page<ScheduleShape> = self.get(format!("/v1/schedules?name={}", segment(name))).await?;
        Ok(page.items)
    }

    /// One schedule.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `schedule_not_found`.
    pub async fn schedule(&self, id: ScheduleId) -> Result<ScheduleShape, Error> {
        self.get(path(id, "")).await
    }

    /// Changes what is said; the rest stays.
    ///
    /// # Errors
    /// As of [`Client::make_schedule`] and [`Client::schedule`]; with code `set_by_config` for one of the configuration.
    pub async fn change_schedule(&self, id: ScheduleId, change: SetSchedule) -> Result<ScheduleShape, Error> {
        self.transport.send(Call::patch(path(id, ""), change.json()?)).await?.json()
    }

    /// Has nothing come of its slots.
    ///
    /// # Errors
    /// As of [`Client::schedule`].
    pub async fn pause_schedule(&self, id: ScheduleId) -> Result<ScheduleShape, Error> {
        self.transport.send(Call::act(path(id, ":pause"))).await?.json()
    }

    /// Goes on with it; what came meanwhile was not missed.
    ///
    /// # Errors
    /// As of [`Client::schedule`].
    pub async fn resume_schedule(&self, id: ScheduleId) -> Result<ScheduleShape, Error> {
        self.transport.send(Call::act(path(id, ":resume"))).await?.json()
    }

    /// Makes its task now, beside its slots.
    ///
    /// # Errors
    /// As of [`Client::schedule`] and [`Client::submit`].
    pub async fn run_schedule(&self, id: ScheduleId) -> Result<Task, Error> {
        self.transport.send(Call::act(path(id, ":run"))).await?.json()
    }

    /// Removes it; its tasks stay. The answer is what it was.
    ///
    /// # Errors
    /// As of [`Client::schedule`]; with code `set_by_config` for one of the configuration.
    pub async fn remove_schedule(&self, id: ScheduleId) -> Result<ScheduleShape, Error> {
        self.transport.send(Call::delete(path(id, ""))).await?.json()
    }

    /// Its next slots, whether it is paused or not.
    ///
    /// # Errors
    /// As of [`Client::schedule`].
    pub async fn upcoming(&self, id: ScheduleId, count: u32) -> Result<Vec<SlotShape>, Error> {
        let preview: PreviewShape = self.get(path(id, &format!("/preview?count={count}"))).await?;
        Ok(preview.items)
    }

    /// What its last slots came to, newest first; at most 200.
    ///
    /// # Errors
    /// As of [`Client::schedule`].
    pub async fn runs(&self, id: ScheduleId, most: u32) -> Result<Vec<RunShape>, Error> {
        let page: Page<RunShape> = self.get(path(id, &format!("/runs?limit={most}"))).await?;
        Ok(page.items)
    }
}

fn path(id: ScheduleId, rest: &str) -> String {
    format!("/v1/schedules/{}{rest}", id.0)
}
