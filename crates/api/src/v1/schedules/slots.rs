//! GET `/v1/schedules/{schedule}/preview` and `/runs`: slots that are to come, and slots that came. POST
//! `/v1/schedules:preview` tells of a rule that is not set up.

use tasklane_core::limit;
use tasklane_core::schedule::template::Template;
use tasklane_core::schedule::{Rule, local};
use tasklane_core::time::Timestamp;
use tasklane_engine::ScheduleError;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::page;
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::schedule::{RunShape, ScheduleDraft, SlotShape};
use tasklane_wire::task::Page;

use super::named;
use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::id_page::bad_cursor;
use crate::limits;

/// So many slots are told of unless more or fewer are asked for.
const SHOWN: usize = 10;

pub(crate) async fn preview(call: Call) -> Answer {
    let count = count(&call)?;
    let found = named(&call).await?;
    let slots = call.engine().upcoming(found.id, count).await?;
    answer::shape(&SlotShape::all(&slots, &found.schedule.rule.when))
}

pub(crate) async fn preview_of(mut call: Call) -> Answer {
    let count = count(&call)?;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let rule = read(&received.bytes)?;
    let slots = call.engine().preview(&rule, count).map_err(ScheduleError::from)?;
    answer::shape(&SlotShape::all(&slots, &rule.when))
}

fn count(call: &Call) -> Result<usize, Refused> {
    let mut query = call.query();
    let count = query.count("count", limits::PREVIEW).unwrap_or(SHOWN);
    query.finish()?;
    Ok(count)
}

/// A rule of which only its times matter.
fn read(body: &[u8]) -> Result<Rule, Refused> {
    let mut findings = Findings::default();
    let draft = ScheduleDraft::read_times(Value::new(validate(body, 0)?), &Path::ROOT, &mut findings);
    match draft.when(&mut findings) {
        Some(when) if findings.is_empty() => Ok(draft.change(Rule::new(when, Template::new("", "", "null")))),
        _ => Err(findings.into()),
    }
}

pub(crate) async fn runs(call: Call) -> Answer {
    let mut query = call.query();
    let most = query.limit(limit::PAGE_ITEMS).unwrap_or(limit::PAGE_ITEMS);
    let cursor = query.take("cursor");
    query.finish()?;
    let before = cursor.map(|it| before(&it).ok_or_else(bad_cursor)).transpose()?;
    let found = named(&call).await?;
    let zone = found.schedule.rule.when.zone();
    let mut runs = call.engine().runs(found.id, before, most + 1).await?;
    let is_more = runs.len() > most;
    runs.truncate(most);
    let next_cursor = runs.last().filter(|_| is_more).map(|(at, ..)| page::encode_name(&at.as_micros().to_string()));
    let items = runs.into_iter().map(|(at, came, state)| RunShape::new(at, local(at, &zone), came, state)).collect();
    answer::shape(&Page { items, next_cursor })
}

fn before(cursor: &str) -> Option<Timestamp> {
    page::decode_name(cursor)?.parse().ok().map(Timestamp::from_micros)
}
