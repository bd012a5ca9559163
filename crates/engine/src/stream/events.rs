//! What happens to any task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::{Cursor, EventFilter, Position};
use tasklane_core::ports::store::EventPage;
use tasklane_core::quarantine::Crashing;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Said;
use crate::calls::StreamError;
use crate::inside::Inside;
use crate::watch::{PAGE, Place};

/// The time between two looks at least, unless the first one filled its page: under load a look sees many commits
/// instead of one.
pub(super) const LOOK_REST: Duration = Duration::from_millis(20);
/// The longest sleep between two looks, should a hint be lost.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
/// As above where one reader looks for all streams of the server.
const LOOK_BESIDE_READER: Duration = Duration::from_secs(15);

/// What happens to tasks that a filter lets through, in the order of commits.
pub struct EventStream {
    inside: Arc<Inside>,
    _place: Place,
    filter: EventFilter,
    at: Cursor,
    position: watch::Receiver<Position>,
    ended: watch::Receiver<bool>,
    next_look: Instant,
}

impl EventStream {
    pub(crate) async fn begin(
        inside: &Arc<Inside>,
        filter: EventFilter,
        resume: Option<Cursor>,
    ) -> Result<Self, StreamError> {
        let place = Place::take(inside).ok_or(StreamError::TooMany { limit: inside.watches.most() })?;
        let at = match resume {
            Some(cursor) => cursor,
            None => Cursor { position: last_position(inside).await?, ..Cursor::default() },
        };
        let (position, ended) = (inside.watches.position(), inside.watches.ended());
        let inside = Arc::clone(inside);
        Ok(Self { inside, _place: place, filter, at, position, ended, next_look: Instant::now() })
    }

    /// Where it stands: everything before was told or filtered out.
    pub fn cursor(&self) -> Cursor {
        self.at
    }

    /// The next events, once there are any; `None`: the server ends its streams. Dropped while it waits, nothing is lost.
    ///
    /// # Errors
    /// The store did not answer; asking again may help.
    pub async fn next(&mut self) -> Result<Option<Vec<Said>>, StoreError> {
        loop {
            if *self.ended.borrow() {
                return Ok(None);
            }
            sleep_until(self.next_look).await;
            self.position.borrow_and_update();
            let page = self.inside.watches.page(&self.inside, self.at.position).await?;
            let rest = if page.events.len() < PAGE { LOOK_REST } else { Duration::ZERO };
            self.next_look = Instant::now() + rest;
            if page.reset {
                self.at = Cursor { position: page.next, ..Cursor::default() };
                return Ok(Some(vec![Said::Reset(self.at)]));
            }
            if page.next == self.at.position {
                self.wait().await;
                continue;
            }
            let crashing = self.inside.crashes.told_by(&self.inside, &page).await?;
            let told = self.told(&page, &crashing);
            self.at = Cursor { position: page.next, ..Cursor::default() };
            if !told.is_empty() {
                return Ok(Some(told));
            }
        }
    }

    async fn wait(&mut self) {
        let Self { inside, position, ended, .. } = self;
        let floor = if inside.is_shared { LOOK_BESIDE_READER } else { LOOK_AT_LEAST };
        tokio::select! {
            // The senders live as long as the engine; an end of time is the floor in either case.
            _ = timeout(floor, position.changed()) => {}
            _ = ended.changed() => {}
        }
    }

    /// What is told of a page. That a type is crashing comes before the event that tells it, unless that is filtered out:
    /// whoever goes on from between them hears it again and misses nothing.
    fn told(&self, page: &EventPage, crashing: &HashMap<usize, Crashing>) -> Vec<Said> {
        let (mut told, mut events, mut skip) = (Vec::new(), page.events.iter(), self.at.skip);
        let (mut before, mut place) = (self.at.position, 0);
        for (position, count) in &page.commits {
            for (index, event) in events.by_ref().take(*count).enumerate() {
                place += 1;
                if index < skip {
                    continue;
                }
                let shows = self.filter.shows(event);
                let crashing = crashing.get(&(place - 1)).filter(|it| self.filter.shows_crashing(it));
                if !shows && crashing.is_none() {
                    continue;
                }
                // Within a commit the place is before it, and so many further.
                let cursor = if index + 1 == *count {
                    Cursor { position: *position, ..Cursor::default() }
                } else {
                    Cursor { position: before, skip: index + 1, line: None }
                };
                if let Some(crashing) = crashing {
                    let ahead = Cursor { position: before, skip: index, line: None };
                    told.push(Said::Crashing(if shows { ahead } else { cursor }, crashing.clone()));
                }
                if shows {
                    told.push(Said::Moved(cursor, event.clone()));
                }
            }
            (skip, before) = (0, *position);
        }
        told
    }
}

/// Where the event log ends.
pub(super) async fn last_position(inside: &Inside) -> Result<Position, StoreError> {
    // Beyond its end there is nothing, and the answer says where the end is.
    inside.store.events(Position(i64::MAX as u64), 0).await.map(|page| page.next)
}
