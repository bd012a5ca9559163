//! The station where workers get tasks: at once, or in a seat until there is work for them.

use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::lease::{LeaseKey, LeaseRequest, Leased};
use tasklane_core::ports::store::Batch;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::calls::{LeaseCall, LeaseReply, Wish};
use crate::commit::Handed;
use crate::inside::Inside;
use crate::parked::{Sat, Seat};

/// Gives work to a worker, or waits for it.
pub(crate) async fn lease(inside: &Arc<Inside>, call: LeaseCall) -> Result<LeaseReply, StoreError> {
    let LeaseCall { worker, wish } = call;
    let until = Instant::now() + wish.wait;
    note_worker(inside, &worker, &wish);
    let again = given_before(inside, &worker, &wish).await?;
    if !again.is_empty() {
        return Ok(LeaseReply { tasks: again, cancel: inside.cancels(&worker).ids });
    }
    let arrivals = inside.parked.arrivals();
    let tasks = look(inside, &worker, &wish).await?;
    let cancel = inside.cancels(&worker);
    if !tasks.is_empty() || cancel.is_news {
        let tasks = tasks.take();
        remember(inside, &worker, &wish, &tasks);
        return Ok(LeaseReply { tasks, cancel: cancel.ids });
    }
    let tasks = park(inside, &worker, &wish, arrivals, until).await?;
    remember(inside, &worker, &wish, &tasks);
    Ok(LeaseReply { tasks, cancel: inside.cancels(&worker).ids })
}

/// What the store is asked for `wish`.
pub(crate) fn request(inside: &Inside, worker: &Arc<str>, wish: &Wish) -> LeaseRequest {
    LeaseRequest {
        worker: Arc::clone(worker),
        lanes: Arc::clone(&wish.lanes),
        limit: wish.limit,
        length: wish.length,
        seed: inside.ids.seed(),
        home: wish.home,
    }
}

/// What this very request got before and nobody reported yet. Known to the server that was asked: another one, asked by
/// the same name, cannot know and gives other tasks; what was lost on the way comes back when its leases run out.
pub(crate) async fn given_before(
    inside: &Arc<Inside>,
    worker: &Arc<str>,
    wish: &Wish,
) -> Result<Vec<Leased>, StoreError> {
    let Some(request) = &wish.request else { return Ok(Vec::new()) };
    let mut given = inside.requests.given(worker, request, Instant::now());
    given.retain(|task| inside.facts.holds(task.key()));
    if given.is_empty() {
        return Ok(given);
    }
    // They begin anew: the worker counts from when it asked this time. Some may have been reported to another server.
    let keys: Vec<_> = given.iter().map(Leased::key).collect();
    let held = inside.commit(Batch { renew: keys.clone(), ..Batch::default() }).await?.answers.renew;
    let (held, lost): (Vec<_>, Vec<_>) = keys.into_iter().zip(held).partition(|(_, held)| *held);
    let keys = |of: Vec<(LeaseKey, bool)>| of.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    inside.facts.renewed(&keys(held), Instant::now());
    let lost = keys(lost);
    inside.facts.forget_leases(&lost);
    given.retain(|task| !lost.contains(&task.key()));
    Ok(given)
}

/// Remembers what a named request got.
pub(crate) fn remember(inside: &Inside, worker: &Arc<str>, wish: &Wish, tasks: &[Leased]) {
    if let Some(request) = wish.request.as_deref().filter(|_| !tasks.is_empty())
        && !inside.requests.remember(worker, request, tasks, wish.length)
    {
        inside.metrics.limit_hit("named_requests");
    }
}

/// Notes that the worker was heard of, and what it serves.
pub(crate) fn note_worker(inside: &Inside, worker: &Arc<str>, wish: &Wish) {
    if !inside.workers.note(worker, &wish.lanes) {
        inside.metrics.limit_hit("workers");
    }
}

async fn look(inside: &Arc<Inside>, worker: &Arc<str>, wish: &Wish) -> Result<Handed, StoreError> {
    if wish.limit == 0 || inside.is_draining() {
        return Ok(Handed::nothing(inside));
    }
    let batch = Batch { lease: vec![request(inside, worker, wish)], ..Batch::default() };
    let mut committed = inside.commit(batch).await?;
    Ok(committed.handed.pop().unwrap_or_else(|| Handed::nothing(inside)))
}

/// Waits in a seat until there is work, a cancellation, or the wish's wait is over, at `until`. `arrivals` was read before
/// the look that found nothing.
pub(crate) async fn park(
    inside: &Arc<Inside>,
    worker: &Arc<str>,
    wish: &Wish,
    mut arrivals: u64,
    until: Instant,
) -> Result<Vec<Leased>, StoreError> {
    while Instant::now() < until && !inside.is_draining() {
        let (reply, answer) = oneshot::channel();
        let (worker, lanes) = (Arc::clone(worker), Arc::clone(&wish.lanes));
        let (limit, length, home) = (wish.limit, wish.length, wish.home);
        let seat = Seat { worker: Arc::clone(&worker), lanes, limit, length, home, until, number: 0, reply };
        match inside.sit(seat, arrivals) {
            Sat::Down(number) => return Ok(Sitting { inside, number }.wait(answer, until).await),
            Sat::Full => {
                inside.metrics.limit_hit("parked_leases");
                break;
            }
            Sat::Over => break,
            Sat::Stale(_) => {
                arrivals = inside.parked.arrivals();
                let found = look(inside, &worker, wish).await?;
                if !found.is_empty() {
                    return Ok(found.take());
                }
            }
        }
    }
    Ok(Vec::new())
}

/// A seat somebody sits in; dropped, it is left.
struct Sitting<'a> {
    inside: &'a Arc<Inside>,
    number: u64,
}

impl Sitting<'_> {
    async fn wait(self, mut answer: oneshot::Receiver<Handed>, until: Instant) -> Vec<Leased> {
        let answered = match timeout_at(until, &mut answer).await {
            Ok(answered) => answered.ok(),
            Err(_) if self.inside.parked.leave(self.number) => None,
            // Somebody took the seat in the last moment and is committing work for it.
            Err(_) => answer.await.ok(),
        };
        answered.map(Handed::take).unwrap_or_default()
    }
}

impl Drop for Sitting<'_> {
    fn drop(&mut self) {
        self.inside.parked.leave(self.number);
    }
}
