//! `/v1/schedules`: rules that make tasks at times.

mod act;
mod change;
mod list;
mod make;
mod slots;

use tasklane_core::schedule::ScheduleId;
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

/// The schedule that the path names.
fn named(call: &Call) -> Result<ScheduleId, Refused> {
    task_id(&call.name).map(|it| ScheduleId(it.0)).ok_or_else(schedule_not_found)
}

fn shape(it: &Scheduled) -> ScheduleShape {
    ScheduleShape::new(it.id, &it.name, &it.schedule)
}
