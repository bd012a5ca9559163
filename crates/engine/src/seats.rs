//! Beside the road: work for seats. A seat may serve several lanes and is filled from whichever comes first, so what was
//! found in one lane says nothing of the others: a lane is done with once a seat that serves it could not be filled.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::lease::{LaneFilter, serves};
use tasklane_core::task::Lane;
use tokio::time::Instant;

use crate::inside::Inside;
use crate::parked::{Round, Seat};

/// Seats asked for in one commit.
const AT_ONCE: usize = 100;
/// Sets of lanes after which a round goes on as if it had met none, so that it remembers no more.
const REMEMBERED: usize = 2_000;
/// Most tasks of a lane that seats are taken for at once, where nobody knows how many there are.
const TASKS: usize = 500;

/// What seats are to be found for.
pub(crate) struct Owed {
    lane: Arc<Lane>,
    tasks: Tasks,
}

enum Tasks {
    /// So many were queued.
    Known(usize),
    /// Nobody knows how many there are: seats for so many are asked, then for twice as many.
    Unknown(usize),
}

/// What a seat got.
pub(crate) struct Got {
    /// The lanes it serves.
    pub serves: Arc<[LaneFilter]>,
    /// All it wanted, or all one answer has room for: there may be more.
    pub is_full: bool,
    /// The lane of each task.
    pub lanes: Vec<Arc<Lane>>,
}

impl Owed {
    /// So many tasks were queued in the lane.
    pub fn tasks(lane: &Arc<Lane>, tasks: usize) -> Self {
        Self { lane: Arc::clone(lane), tasks: Tasks::Known(tasks) }
    }

    /// There may be something in the lane; seats for `tasks` are asked already.
    fn unknown(lane: &Arc<Lane>, tasks: usize) -> Self {
        Self { lane: Arc::clone(lane), tasks: Tasks::Unknown(tasks) }
    }

    /// What is still owed after seats got that.
    fn after(self, got: &[Got]) -> Option<Self> {
        if got.iter().any(|it| !it.is_full && serves(&it.serves, &self.lane)) {
            return None;
        }
        let tasks = match self.tasks {
            Tasks::Known(tasks) => {
                let taken = got.iter().flat_map(|it| &it.lanes).filter(|it| **it == self.lane).count();
                Tasks::Known(tasks.checked_sub(taken).filter(|it| *it > 0)?)
            }
            Tasks::Unknown(tasks) => Tasks::Unknown((2 * tasks).min(TASKS)),
        };
        Some(Self { tasks, ..self })
    }

    fn wanted(&self) -> (&Arc<Lane>, usize) {
        let (Tasks::Known(tasks) | Tasks::Unknown(tasks)) = self.tasks;
        (&self.lane, tasks)
    }
}

/// The floor under lost hints: one seat of each set of lanes asks, and more of those that get all they want.
pub(crate) async fn look(inside: Arc<Inside>) {
    inside.dismiss_overdue();
    let mut round = Round::default();
    loop {
        let (mut seats, is_more) = inside.parked.take_one_of_each(&mut round, AT_ONCE);
        while !seats.is_empty() {
            let Ok(got) = lease(&inside, seats).await else { return };
            let owed = filled_from(&got);
            seats = inside.parked.take_for(owed.iter().map(Owed::wanted));
        }
        if !is_more {
            return;
        }
        if round.met() >= REMEMBERED {
            round.afresh();
        }
    }
}

/// There may be something in these lanes.
pub(crate) async fn look_in(inside: &Arc<Inside>, lanes: &[Arc<Lane>]) {
    if lanes.is_empty() {
        return;
    }
    inside.parked.announce_in(lanes.iter());
    inside.dismiss_overdue();
    let seats = inside.parked.take_one_for_each(lanes);
    // A failed commit has put the seats back, and within a second they are looked for again.
    drop(serve(inside, seats, lanes.iter().map(|lane| Owed::unknown(lane, 1)).collect()).await);
}

/// Leases for these seats, and for ever more while lanes of `owed` may have more.
pub(crate) async fn serve(inside: &Arc<Inside>, mut seats: Vec<Seat>, mut owed: Vec<Owed>) -> Result<(), StoreError> {
    while !seats.is_empty() {
        let got = lease(inside, seats).await?;
        owed = owed.into_iter().filter_map(|it| it.after(&got)).collect();
        seats = inside.parked.take_for(owed.iter().map(Owed::wanted));
    }
    Ok(())
}

async fn lease(inside: &Arc<Inside>, seats: Vec<Seat>) -> Result<Vec<Got>, StoreError> {
    let here = Arc::clone(inside);
    // On a task of its own: what stops this loop must not stop what follows a commit.
    let leasing = tokio::spawn(async move { here.lease_for(seats).await });
    leasing.await.unwrap_or_else(|failed| Err(StoreError::Away(failed.to_string())))
}

/// The lanes that filled seats, for twice as many tasks as came from them.
fn filled_from(got: &[Got]) -> Vec<Owed> {
    let mut lanes: BTreeMap<&Arc<Lane>, usize> = BTreeMap::new();
    for lane in got.iter().filter(|it| it.is_full).flat_map(|it| &it.lanes) {
        *lanes.entry(lane).or_default() += 1;
    }
    lanes.into_iter().map(|(lane, tasks)| Owed::unknown(lane, (2 * tasks).min(TASKS))).collect()
}

impl Inside {
    /// Workers that hold a lease whose end is near though they should long have renewed it may be frozen with their
    /// connections open. Another server may rescue what they lost: their seats here must not catch it.
    fn dismiss_overdue(self: &Arc<Self>) {
        for worker in self.facts.overdue(Instant::now()) {
            self.dismiss(self.parked.take_of(&worker));
        }
    }
}
