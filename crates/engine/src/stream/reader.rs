//! Reads the event log of a shared store for every stream of this server: what other servers did is heard here, in the
//! order of the log, and only once it can be read.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tokio::time::{sleep, timeout};

use super::events::{LOOK_REST, last_position};
use crate::inside::{Inside, lock};
use crate::watch::{PAGE, Reading};

/// The longest sleep between two looks, should a hint be lost.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
/// The first sleep before another look for what is said to be there; it doubles.
const SOON: Duration = Duration::from_millis(10);

/// Reads while there are streams.
pub(crate) async fn read_log(inside: Arc<Inside>) {
    let mut soon = SOON;
    loop {
        if is_idle(&inside) {
            inside.watches.to_look().await;
            continue;
        }
        match read(&inside).await {
            Ok(Some(rest)) => {
                soon = SOON;
                sleep(rest).await;
            }
            // Commits under way keep what is said to be there from being read.
            Ok(None) if lock(&inside.watches.reading).is_some_and(|it| it.at < inside.watches.rumoured()) => {
                sleep(inside.ids.jittered(soon)).await;
                soon = (soon * 2).min(LOOK_AT_LEAST);
            }
            Ok(None) => {
                soon = SOON;
                drop(timeout(inside.ids.jittered(LOOK_AT_LEAST), inside.watches.to_look()).await);
            }
            Err(error) => {
                tracing::debug!(%error, "the event log was not read");
                sleep(inside.ids.jittered(soon)).await;
                soon = (soon * 2).min(LOOK_AT_LEAST);
            }
        }
    }
}

/// Whether there are no streams. Then where it stands is forgotten; a stream that comes takes its place before it says
/// from where it wants to hear.
fn is_idle(inside: &Inside) -> bool {
    let mut reading = lock(&inside.watches.reading);
    let is_idle = inside.watches.len() == 0;
    if is_idle {
        *reading = None;
    }
    is_idle
}

/// Reads a page; how long to rest before the next, or `None`: there was nothing.
async fn read(inside: &Inside) -> Result<Option<Duration>, StoreError> {
    let watches = &inside.watches;
    let known = *lock(&watches.reading);
    let Some(Reading { at, .. }) = known else {
        let end = last_position(inside).await?;
        lock(&watches.reading).get_or_insert(Reading { since: end, at: end });
        // What came before and no stream has read yet.
        watches.moved(end, &[]);
        return Ok(Some(Duration::ZERO));
    };
    let page = watches.page(inside, at).await?;
    if page.reset {
        if page.next != at {
            watches.missed();
        }
        go_on(inside, at, page.next);
        watches.moved(page.next, &[]);
        return Ok((page.next != at).then_some(LOOK_REST));
    }
    if page.next == at {
        return Ok(None);
    }
    let mut events = &page.events[..];
    for (position, count) in &page.commits {
        let (of_commit, rest) = events.split_at((*count).min(events.len()));
        watches.moved(*position, of_commit);
        events = rest;
    }
    watches.moved(page.next, &[]);
    go_on(inside, at, page.next);
    Ok(Some(if page.events.len() < PAGE { LOOK_REST } else { Duration::ZERO }))
}

/// Goes on from `to`, unless a stream wants to hear what is before.
fn go_on(inside: &Inside, from: Position, to: Position) {
    if let Some(reading) = lock(&inside.watches.reading).as_mut().filter(|it| it.at == from) {
        reading.at = to;
    }
}
