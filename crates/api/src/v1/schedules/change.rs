//! PATCH `/v1/schedules/{schedule}`: what is said changes, the rest stays.

use tasklane_core::schedule::When;
use tasklane_engine::{ScheduleChange, Scheduled};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::schedule::ScheduleDraft;

use super::{named, own, shape};
use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn change(mut call: Call) -> Answer {
    call.no_query()?;
    let was = named(&call).await?;
    let received = call.receive(Accepts::Json, limits::SCHEDULE_BODY).await?;
    let mut findings = Findings::default();
    let text = validate(&received.bytes, limits::SCHEDULE_DEPTH)?;
    let draft = ScheduleDraft::read(Value::new(text), &Path::ROOT, &mut findings);
    if !findings.is_empty() {
        return Err(findings.into());
    }
    check_zone(&was, &draft)?;
    own(&call, draft.clone().change(was.schedule.rule.clone()))?;
    let changed =
        call.acting().change_schedule(was.id, call.tenant(), |was| changed(&call, was, draft.clone())).await?;
    answer::shape(&shape(&changed))
}

/// A zone by itself says something of a pattern only.
fn check_zone(was: &Scheduled, draft: &ScheduleDraft<'_>) -> Result<(), Refused> {
    let has_pattern = matches!(was.schedule.rule.when, When::Cron { .. }) || draft.when.is_some();
    if has_pattern || draft.timezone.is_none() {
        return Ok(());
    }
    let mut findings = Findings::default();
    findings
        .invalid(&Path::ROOT.key("timezone"), "only a pattern has a zone, and this schedule has none; give cron too");
    Err(findings.into())
}

fn changed(call: &Call, was: &Scheduled, draft: ScheduleDraft<'_>) -> ScheduleChange {
    let name = draft.name.as_deref().map_or_else(|| was.name.clone(), Box::from);
    let paused = draft.paused.unwrap_or(was.schedule.paused);
    let rule = draft.change(was.schedule.rule.clone());
    // Whoever may not has been refused; a task that names no tenant becomes the caller's.
    let rule = own(call, rule.clone()).unwrap_or(rule);
    ScheduleChange { name, paused, rule }
}
