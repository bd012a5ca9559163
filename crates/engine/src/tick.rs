//! Beside the road: slots of schedules come. Every server looks; the first to write says what they came to, and the others
//! find that it was done.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{DueRecords, Kind, Record, RecordSet, SetRecord};
use tasklane_core::schedule::tick::{Ticked, tick};
use tasklane_core::schedule::{Schedule, ScheduleId};
use tasklane_core::task::TaskId;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::inside::Inside;
use crate::outage;
use crate::schedules::{content, read};

/// Schedules that are looked at together.
const TOGETHER: usize = 100;
/// A schedule that another server set up is noticed within this.
const FLOOR: Duration = Duration::from_secs(1);

/// Deals with slots until the engine stops.
pub(crate) async fn run(inside: Arc<Inside>) {
    let mut unreadable = HashSet::new();
    while !inside.stopped.load(Ordering::Acquire) {
        let next = look(&inside, &mut unreadable).await.unwrap_or_else(|error| {
            outage::complain(&error, "slots of schedules that have come wait; trying again within a second");
            None
        });
        let floor = if inside.is_shared { inside.ids.jittered(FLOOR) } else { FLOOR };
        let until = Instant::now() + next.map_or(floor, |next| next.min(floor));
        tokio::select! {
            biased;
            () = inside.stopping.notified() => return,
            () = inside.schedules.notified() => {}
            () = sleep_until(until) => {}
        }
    }
}

/// Deals with what has come; answers how soon more does. What cannot be read is said once.
async fn look(inside: &Arc<Inside>, unreadable: &mut HashSet<Uuid>) -> Result<Option<Duration>, StoreError> {
    loop {
        let DueRecords { due, next } = inside.store.records().due(Kind::Schedule, TOGETHER).await?;
        let mut has_all = !due.is_empty();
        for record in &due {
            if let Err(why) = tick_one(inside, record).await? {
                has_all = false;
                if unreadable.insert(record.id) {
                    tracing::error!(schedule = %record.id, why, "a schedule cannot be read: nothing comes of its slots");
                }
            }
        }
        if !has_all {
            return Ok(next);
        }
    }
}

/// Deals with one schedule, unless another server does; or says why it cannot be read.
async fn tick_one(inside: &Arc<Inside>, record: &Record) -> Result<Result<(), String>, StoreError> {
    let schedule = match read(record) {
        Ok(schedule) => schedule,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let (now, finished) = (inside.store.now(), finished(inside, &schedule).await?);
    match tick(ScheduleId(record.id), schedule, now, &finished, || inside.ids.draw(now)) {
        Ok(Some(ticked)) => write(inside, record, ticked).await.map(Ok),
        Ok(None) => Ok(Ok(())),
        Err(why) => Ok(Err(why.to_string())),
    }
}

/// Those of its tasks that are no longer unfinished.
async fn finished(inside: &Arc<Inside>, schedule: &Schedule) -> Result<Vec<TaskId>, StoreError> {
    if schedule.unfinished.is_empty() {
        return Ok(Vec::new());
    }
    let facts = inside.store.facts(schedule.unfinished.clone()).await?;
    let both = schedule.unfinished.iter().zip(facts);
    Ok(both.filter(|(_, facts)| facts.as_ref().is_none_or(|it| it.state.is_final())).map(|(id, _)| *id).collect())
}

async fn write(inside: &Arc<Inside>, record: &Record, ticked: Ticked) -> Result<(), StoreError> {
    let Ticked { schedule, make, cancel, slots } = ticked;
    let (kind, id, seen) = (record.kind, record.id, Some(record.version));
    let to = Some(content(record.content.name.as_deref().unwrap_or_default(), &schedule));
    let set = SetRecord { then: make, slots, ..SetRecord::new(kind, id, seen, to) };
    let answers = inside.commit(Batch { record: vec![set], ..Batch::default() }).await?.answers;
    if let Some(RecordSet::Held(_)) = answers.record.first()
        && !cancel.is_empty()
    {
        // One that has ended meanwhile needs no cancelling.
        let hand = cancel.into_iter().map(|id| (id, Hand::Cancel)).collect();
        inside.commit(Batch { hand, ..Batch::default() }).await?;
    }
    Ok(())
}
