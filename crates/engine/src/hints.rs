//! Beside the road: acts on what other servers of a shared store say they did, and looks by itself every so often, as what
//! they say may be lost. No loop of these runs over a store that is this server's own.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tasklane_core::error::StoreError;
use tasklane_core::lease::LeaseKey;
use tasklane_core::limit::READ_ROWS;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::store::Hint;
use tasklane_core::task::Lane;
use tokio::time::Instant;

use crate::cancels::look_for_cancels;
use crate::inside::Inside;
use crate::seats;

/// Most lanes, and most ends, that are gathered; past it anything may have happened.
const GATHERED: usize = 10_000;
/// Most followed tasks looked at at once: they come with their payloads.
const FOLLOWED: usize = 200;
/// Most leases asked for at once.
const LEASES: usize = 5_000;

/// Acts on hints; while it does, later ones gather.
pub(crate) async fn run(inside: Arc<Inside>) {
    let store = Arc::clone(&inside.store);
    let mut next = store.hint();
    loop {
        let mut gathered = Gathered::default();
        gathered.add(next.as_mut().await);
        next = store.hint();
        while gathered.is_some {
            while let Some(hint) = ready(&mut next).await {
                gathered.add(hint);
                next = store.hint();
            }
            let mut acting = pin!(act(&inside, std::mem::take(&mut gathered)));
            loop {
                tokio::select! {
                    biased;
                    () = &mut acting => break,
                    hint = &mut next => {
                        gathered.add(hint);
                        next = store.hint();
                    }
                }
            }
        }
    }
}

/// What it answers, if it can at once.
async fn ready(next: &mut BoxFuture<'_, Hint>) -> Option<Hint> {
    poll_fn(|context| match next.as_mut().poll(context) {
        Poll::Ready(hint) => Poll::Ready(Some(hint)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Hints as one.
#[derive(Default)]
struct Gathered {
    is_some: bool,
    lanes: BTreeSet<Arc<Lane>>,
    hint: Hint,
}

impl Gathered {
    fn add(&mut self, hint: Hint) {
        self.is_some = true;
        let all = &mut self.hint;
        all.position = all.position.max(hint.position);
        all.cancels |= hint.cancels;
        all.all |= hint.all;
        if !all.all {
            self.lanes.extend(hint.lanes);
            all.ended.extend(hint.ended);
        }
        if self.lanes.len() > GATHERED || all.ended.len() > GATHERED {
            all.all = true;
        }
        if all.all {
            self.lanes.clear();
            all.ended.clear();
        }
    }
}

async fn act(inside: &Arc<Inside>, gathered: Gathered) {
    let hint = gathered.hint;
    inside.watches.rumour(hint.position);
    inside.waits.wake(hint.ended.iter().copied());
    if hint.all {
        inside.parked.announce();
        inside.watches.look();
        let here = || Arc::clone(inside);
        tokio::join!(seats::look(here()), look_for_ends(here()), look_for_cancels(here()));
        return;
    }
    let lanes: Vec<_> = gathered.lanes.into_iter().collect();
    let held = inside.facts.keys_of(&hint.ended);
    tokio::join!(seats::look_in(inside, &lanes), forget_lost(inside, held), async {
        if hint.cancels {
            look_for_cancels(Arc::clone(inside)).await;
        }
    });
}

/// Wakes who waits for a task that another server ended.
pub(crate) async fn look_for_ends(inside: Arc<Inside>) {
    let waited = inside.waits.ids();
    for ids in waited.chunks(READ_ROWS) {
        match inside.store.ended(ids.to_vec()).await {
            Ok(ended) => inside.waits.wake(ended.into_iter()),
            Err(error) => return quiet(&error),
        }
    }
}

/// Looks at the tasks that streams here follow and that run by way of other servers, where what they say is heard.
pub(crate) async fn look_at_followed(inside: Arc<Inside>) {
    let followed = inside.watches.elsewhere();
    for ids in followed.chunks(FOLLOWED) {
        match inside.store.tasks(ids.to_vec()).await {
            Ok(tasks) => ids.iter().zip(tasks).for_each(|(id, task)| inside.watches.looked(*id, task)),
            // One of them may be damaged: the others are looked at in their turn.
            Err(error) => quiet(&error),
        }
    }
}

/// Another server may have settled, rescued or renewed what was not renewed here for the length of its lease.
pub(crate) async fn look_for_lost(inside: Arc<Inside>) {
    let silent = inside.facts.silent(Instant::now());
    forget_lost(&inside, silent).await;
}

/// Forgets those of `keys` whose lease is no more; the others are somebody's who renews them elsewhere.
pub(crate) async fn forget_lost(inside: &Arc<Inside>, keys: Vec<LeaseKey>) {
    for keys in keys.chunks(LEASES) {
        match inside.store.lost(keys.to_vec()).await {
            Ok(lost) => {
                inside.facts.forget_leases(&lost);
                inside.facts.renewed(keys, Instant::now());
            }
            Err(error) => return quiet(&error),
        }
    }
}

/// What could not be read now is read soon: that the store is away was said already.
pub(crate) fn quiet(error: &StoreError) {
    tracing::debug!(%error, "what other servers did was not read");
}
