//! Writes tasks back whole: what every change that is not on the straight road comes down to.

use tasklane_core::state::State;
use tasklane_core::task::Task;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::Result;
use super::row::{Kept, micros, settled_code, text};
use super::session::{Session, Statement};
use crate::encoding::checksum::sum;

const WRITE: Statement = Statement {
    sql: "UPDATE tasklane.tasks t SET
            rank = u.rank, place = u.place, queued = u.queued, due = u.due, run_at = u.run_at, started = u.started, finished = u.finished,
            lease_length = u.lease_length, lease_until = u.lease_until, heard = u.heard, grace_until = u.grace_until,
            result_sum = u.result_sum, spent = u.spent, state = u.state, reason = u.reason, crashes = u.crashes,
            flags = u.flags, to_cancel = CASE WHEN u.state = 4 AND (u.flags & 1) = 1 THEN true END, settled = u.settled, spec = u.spec, failure = u.failure, progress = u.progress,
            hidden = u.hidden, result = u.result
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::int[], $14::smallint[],
            $15::smallint[], $16::smallint[], $17::smallint[], $18::smallint[], $19::text[], $20::text[], $21::text[],
            $22::bigint[], $23::bytea[], $24::bigint[])
          AS u(id, rank, queued, due, run_at, started, finished, lease_length, lease_until, heard, grace_until, result_sum,
            spent, state, reason, crashes, flags, settled, spec, failure, progress, hidden, result, place)
          WHERE t.id = u.id",
    types: &[
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::BYTEA_ARRAY,
        Type::INT8_ARRAY,
    ],
};

const PAYLOAD: Statement = Statement {
    sql: "UPDATE tasklane.tasks SET payload = $2, payload_sum = $3 WHERE id = $1",
    types: &[Type::UUID, Type::BYTEA, Type::INT8],
};

/// Writes these tasks, all but their payloads. The rows are locked by the transaction already.
pub(crate) async fn tasks(session: &Session, kept: &[&Kept]) -> Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    let times = |moment: fn(&Kept) -> Option<i64>| kept.iter().map(|it| moment(it)).collect::<Vec<_>>();
    let ids: Vec<Uuid> = kept.iter().map(|it| it.task.facts.id.0).collect();
    let small = |number: fn(&Kept) -> i16| kept.iter().map(|it| number(it)).collect::<Vec<_>>();
    let texts = |column: fn(&Task) -> Result<Option<String>>| {
        kept.iter().map(|it| column(&it.task)).collect::<Result<Vec<_>>>()
    };
    let spent: Vec<i32> = kept.iter().map(|it| it.task.facts.spent as i32).collect();
    let settled: Vec<Option<i16>> = kept.iter().map(|it| settled_code(it.settled)).collect();
    let results: Vec<Option<&[u8]>> = kept.iter().map(|it| it.task.result.as_deref()).collect();
    let lease = |kept: &Kept| kept.task.facts.lease.clone();
    session
        .run(
            &WRITE,
            &[
                &ids,
                &times(|it| Some(it.task.rank.as_micros())),
                &times(|it| micros(it.task.queued_at)),
                &times(|it| micros(due_of(&it.task))),
                &times(|it| micros(it.task.facts.run_at)),
                &times(|it| micros(it.task.facts.started_at)),
                &times(|it| micros(it.task.finished_at)),
                &kept.iter().map(|it| lease(it).map(|lease| lease.length.as_micros() as i64)).collect::<Vec<_>>(),
                &kept.iter().map(|it| lease(it).map(|lease| lease.until.as_micros())).collect::<Vec<_>>(),
                &kept.iter().map(|it| lease(it).map(|lease| lease.heard_at.as_micros())).collect::<Vec<_>>(),
                &kept.iter().map(|it| micros(lease(it).and_then(|lease| lease.grace_until))).collect::<Vec<_>>(),
                &times(|it| it.task.result.as_deref().map(|result| sum(it.task.facts.id, result) as i64)),
                &spent,
                &small(|it| it.task.facts.state.code().into()),
                &small(|it| it.task.reason.code().into()),
                &small(|it| i16::try_from(it.task.facts.crashes).unwrap_or(i16::MAX)),
                &small(Kept::flags),
                &settled,
                &kept.iter().map(|it| it.spec_text()).collect::<Result<Vec<_>>>()?,
                &texts(|it| it.failure.as_ref().map(text).transpose())?,
                &texts(|it| it.progress.as_ref().map(text).transpose())?,
                &times(|it| micros(it.task.hidden_at)),
                &results,
                &times(|it| (it.task.facts.state == State::Queued).then(|| it.task.place())),
            ],
        )
        .await
}

/// Writes the payload of a task, which few changes touch.
pub(crate) async fn payload(session: &Session, task: &Task) -> Result<()> {
    let id = task.facts.id;
    session.run(&PAYLOAD, &[&id.0, &&*task.payload, &(sum(id, &task.payload) as i64)]).await
}

/// What stands in the column `due`: of a running task nothing, as alarms tell of it.
pub(crate) fn due_of(task: &Task) -> Option<Timestamp> {
    if task.facts.state == State::Running { None } else { task.facts.due_at() }
}
