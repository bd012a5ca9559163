//! Why a task is not running: every reason, with what opens it.

use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::gate::{Gate, GateName, Rate};
use tasklane_core::ports::store::Standing;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};

use crate::calls::{Asker, Why, WhyReason};
use crate::inside::Inside;

/// How many holders of a full gate are named.
const HOLDERS: usize = 3;
/// How many tasks ahead are counted; past it the answer is "more than".
const AHEAD: u64 = 10_000;

/// Every reason why a task is not running.
pub(crate) async fn why(inside: &Arc<Inside>, id: TaskId, asker: Asker) -> Result<Option<Why>, StoreError> {
    let Some(standing) = inside.store.standing(id, AHEAD).await? else { return Ok(None) };
    let mut reasons = Vec::new();
    reasons.extend(time(&standing));
    let waits = [State::Blocked, State::Queued, State::Scheduled, State::Retrying];
    if waits.contains(&standing.task.facts.state) {
        reasons.extend(queue(&standing));
        reasons.extend(worker(inside, &standing));
    }
    for full in &standing.gates {
        reasons.push(gate(inside, full, asker).await?);
    }
    reasons.extend(quarantine(&standing.task));
    if standing.task.facts.state == State::Queued {
        reasons.extend(place(&standing, asker));
        reasons.extend(draining(inside));
        if reasons.is_empty() {
            reasons.push(next_in_line());
        }
    }
    Ok(Some(Why { task: standing.task, reasons }))
}

fn time(standing: &Standing) -> Option<WhyReason> {
    let facts = &standing.task.facts;
    let (code, message) = match facts.state {
        State::Scheduled => ("not_due", "its time has not come"),
        State::Retrying => ("back_off", "its last attempt failed and it waits before the next"),
        _ => return None,
    };
    let remedy = "it opens by itself; `reschedule` starts it sooner".to_owned();
    Some(WhyReason { code, message: message.to_owned(), remedy, opens_at: facts.run_at })
}

fn queue(standing: &Standing) -> Option<WhyReason> {
    let name = &standing.task.facts.lane.queue;
    (standing.queue == QueueState::Paused).then(|| WhyReason {
        code: "queue_paused",
        message: format!("queue {name:?} is paused"),
        remedy: format!("resume it: POST /v1/queues/{name}:resume"),
        opens_at: None,
    })
}

/// What ended it says how, and of whom: [`tasklane_core::settle`].
fn quarantine(task: &Task) -> Option<WhyReason> {
    let failure = task.failure.as_ref().filter(|_| task.quarantined)?;
    let worker = task.worker.as_deref().unwrap_or("unknown");
    Some(WhyReason {
        code: "quarantined",
        message: format!(
            "it is quarantined, as it ended the workers that ran it, the last {worker:?}: {}",
            failure.message
        ),
        remedy: "see what that worker wrote; once it is mended, `retry` starts the task again and lifts the quarantine"
            .to_owned(),
        opens_at: None,
    })
}

fn worker(inside: &Inside, standing: &Standing) -> Option<WhyReason> {
    let lane = &standing.task.facts.lane;
    (!inside.workers.serve(lane)).then(|| WhyReason {
        code: "no_worker",
        message: format!(
            "no worker{} serves type {:?} of queue {:?}",
            // What others are asked, this one does not hear.
            if inside.is_shared { " that asks this server for work" } else { "" },
            lane.task_type,
            lane.queue
        ),
        remedy: "start a worker that leases this queue and type".to_owned(),
        opens_at: None,
    })
}

/// Why a gate is full, and who could open it.
async fn gate(inside: &Inside, gate: &Gate, asker: Asker) -> Result<WhyReason, StoreError> {
    let name = &gate.name;
    if asker == Asker::Tenant && !matches!(name, GateName::Key { .. }) {
        return Ok(WhyReason {
            code: "gate_full",
            message: format!("{name} is full"),
            remedy: "it opens when others that pass it end, or by itself".to_owned(),
            opens_at: None,
        });
    }
    let full_by_rate = gate.bounds.rate.filter(|_| gate.opens_at.is_some());
    if let Some(Rate { count, per }) = full_by_rate {
        return Ok(WhyReason {
            code: "gate_full",
            message: format!("{name} lets at most {count} start in {} seconds, and so many did", per.as_secs_f64()),
            remedy: "it opens by itself; a higher rate makes that sooner".to_owned(),
            opens_at: gate.opens_at,
        });
    }
    let most = gate.bounds.max_running.unwrap_or(0);
    let holders = inside.store.gate(name.clone()).await?.map(|it| it.holders).unwrap_or_default();
    let shown: Vec<String> = holders.iter().take(HOLDERS).map(|(id, _)| id.to_string()).collect();
    let held_by = if shown.is_empty() { String::new() } else { format!(", such as {}", shown.join(", ")) };
    let remedy = match most {
        0 => "nothing passes it until its limit is raised",
        _ => "it opens when one of those that run ends; a higher limit makes that sooner",
    };
    Ok(WhyReason {
        code: "gate_full",
        message: format!("{name} lets at most {most} run at a time, and {} do{held_by}", gate.running),
        remedy: remedy.to_owned(),
        opens_at: None,
    })
}

fn place(standing: &Standing, asker: Asker) -> Option<WhyReason> {
    let ahead = standing.ahead.filter(|ahead| *ahead > 0)?;
    let more = if standing.ahead_is_more { "more than " } else { "" };
    let ahead = if asker == Asker::Tenant { "some".to_owned() } else { format!("{more}{ahead}") };
    Some(WhyReason {
        code: "behind_others",
        message: format!("{ahead} tasks of its queue and type come before it"),
        remedy: "it opens when workers get to it; more workers or a higher priority make that sooner".to_owned(),
        opens_at: None,
    })
}

fn draining(inside: &Inside) -> Option<WhyReason> {
    inside.is_draining().then(|| WhyReason {
        code: "server_draining",
        message: "the server is stopping and hands out no work".to_owned(),
        remedy: "it opens when the server is back".to_owned(),
        opens_at: None,
    })
}

fn next_in_line() -> WhyReason {
    WhyReason {
        code: "workers_busy",
        message: "it is the next of its queue and type; every worker that serves them is busy".to_owned(),
        remedy: "it opens when a worker is free; more workers make that sooner".to_owned(),
        opens_at: None,
    }
}
