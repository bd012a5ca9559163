//! What the configuration says of schedules.

use tasklane_core::error::StoreError;
use tasklane_core::limit;
use tasklane_core::schedule::timetable::TimetableError;
use tasklane_core::schedule::{Schedule, Source};
use tasklane_core::time::Timestamp;

use super::{NewSchedule, ScheduleError, ScheduleQuery, Scheduled, TRIES};
use crate::handle::Engine;

impl Engine {
    /// Sets up what the configuration says, and removes what it once said and says no more. A schedule of the same name and
    /// tenant becomes what is said, whoever made it.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn configure_schedules(&self, said: Vec<NewSchedule>) -> Result<(), ScheduleError> {
        let is_said = |it: &Scheduled| said.iter().any(|new| it.has_name_of(new));
        for gone in self.all_schedules().await?.into_iter().filter(|it| it.is_of_config() && !is_said(it)) {
            match self.alter(gone.id, None, |_, _| Ok(None)).await {
                Ok(_) => tracing::info!(name = %gone.name, "a schedule is removed: the configuration says it no more"),
                Err(ScheduleError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        for new in said {
            match self.configure_schedule(&new).await {
                // One whose time is over is no reason not to serve.
                Err(ScheduleError::Timetable(why)) => {
                    tracing::warn!(name = %new.name, %why, "a schedule of the configuration is not set up");
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Servers may do so at the same time: the first to write makes it, and the others find it.
    async fn configure_schedule(&self, new: &NewSchedule) -> Result<(), ScheduleError> {
        for _ in 0..TRIES {
            let (tenant, name) = (Some(new.rule.task.tenant.clone()), Some(new.name.clone()));
            let there = self.schedules(ScheduleQuery { tenant, name, after: None, most: 1 }).await?;
            let done = match there.first() {
                None => self.make_schedule(new.clone()).await.map(drop),
                Some(it) if it.is_of_config() && it.schedule.rule == new.rule => Ok(()),
                Some(it) => self.alter(it.id, None, |was, now| Ok(Some(was.configured(new, now)?))).await.map(drop),
            };
            if !matches!(done, Err(ScheduleError::NameTaken | ScheduleError::NotFound)) {
                return done;
            }
        }
        Err(ScheduleError::Busy)
    }

    async fn all_schedules(&self) -> Result<Vec<Scheduled>, StoreError> {
        let (mut all, most) = (Vec::new(), limit::PAGE_ITEMS);
        loop {
            let after = all.last().map(|it: &Scheduled| it.id);
            let page = self.schedules(ScheduleQuery { after, most, ..ScheduleQuery::default() }).await?;
            let is_last = page.is_empty();
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

impl Scheduled {
    fn has_name_of(&self, new: &NewSchedule) -> bool {
        (&self.name, &self.schedule.rule.task.tenant) == (&new.name, &new.rule.task.tenant)
    }

    /// The same, as the configuration says it. Whether it is paused was said by hand, and stays.
    fn configured(self, new: &NewSchedule, now: Timestamp) -> Result<Self, TimetableError> {
        let schedule = self.schedule.with(new.rule.clone(), now)?;
        Ok(Self { schedule: Schedule { source: Source::Config, ..schedule }, ..self })
    }
}
