//! `/v1/schedules`: rules that make tasks at times.

mod act;
mod change;
mod list;
mod make;
mod slots;

use tasklane_core::schedule::template::Template;
use tasklane_core::schedule::{Rule, ScheduleId};
use tasklane_engine::Scheduled;
use tasklane_wire::read::task_id;
use tasklane_wire::schedule::ScheduleShape;

pub(crate) use act::{delete, pause, resume, run};
pub(crate) use change::change;
pub(crate) use list::{get, list};
pub(crate) use make::make;
pub(crate) use slots::{preview, preview_of, runs};

use crate::call::Call;
use crate::error::{Refused, schedule_not_found};

/// The schedule that the path names, if the caller may see it.
async fn named(call: &Call) -> Result<Scheduled, Refused> {
    let id = task_id(&call.name).map(|it| ScheduleId(it.0)).ok_or_else(schedule_not_found)?;
    let found = call.engine().schedule(id).await?;
    let is_own = |it: &Scheduled| call.tenant().is_none_or(|own| *it.schedule.rule.task.tenant == *own);
    found.filter(is_own).ok_or_else(schedule_not_found)
}

/// Makes what a schedule makes the caller's tenant's, if he has one.
fn own(call: &Call, rule: Rule) -> Result<Rule, Refused> {
    if let Some(callback) = &rule.task.spec.callback {
        call.app.options.outward.check("/task/callback/url", &callback.url)?;
    }
    let tenant = call.tenant_of(Some(rule.task.tenant.clone()).filter(|it| !it.is_empty()))?.unwrap_or_default();
    Ok(Rule { task: Template { tenant, ..rule.task }, ..rule })
}

fn shape(it: &Scheduled) -> ScheduleShape {
    ScheduleShape::new(it.id, &it.name, &it.schedule)
}
