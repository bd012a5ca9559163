//! POST `/v1/schedules`: sets one up.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tasklane_core::schedule::Source;
use tasklane_engine::NewSchedule;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::schedule::ScheduleDraft;

use super::{own, shape};
use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::Refused;
use crate::limits;

pub(crate) async fn make(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::SCHEDULE_BODY).await?;
    let new = read(&received.bytes)?;
    let new = NewSchedule { rule: own(&call, new.rule)?, ..new };
    let made = call.acting().make_schedule(new).await?;
    let mut answer = answer::shape(&shape(&made))?;
    *answer.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::from_str(&format!("/v1/schedules/{}", made.id.0));
    answer.headers_mut().insert(LOCATION, location.expect("an id is ASCII"));
    Ok(answer)
}

fn read(body: &[u8]) -> Result<NewSchedule, Refused> {
    let mut findings = Findings::default();
    let draft = ScheduleDraft::read(Value::new(validate(body, limits::SCHEDULE_DEPTH)?), &Path::ROOT, &mut findings);
    let paused = draft.paused.unwrap_or(false);
    match draft.into_new(&mut findings) {
        Some((name, rule)) if findings.is_empty() => Ok(NewSchedule { name, source: Source::Caller, rule, paused }),
        _ => Err(findings.into()),
    }
}
