//! What happens to one task, to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::{Cursor, Position, Transition};
use tasklane_core::ports::store::LogQuery;
use tasklane_core::state::State;
use tasklane_core::task::{Progress, Task, TaskId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Said;
use super::events::last_position;
use crate::calls::StreamError;
use crate::inside::Inside;
use crate::watch::{Heard, Listening, Place};

/// How often the task is looked at though nothing was heard of it.
const LOOK_AT_LEAST: Duration = Duration::from_secs(15);
/// Most events read to find those of one task; past it the stream begins anew with a reset.
const SCAN: usize = 100_000;
/// Events read at a time to find those of one task.
const SCAN_PAGE: usize = 5_000;

/// What is wanted of a task's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// Transitions, progress, and every line.
    Everything,
    /// These lines, and the end.
    Log(LogQuery),
}

/// What happens to one task. Lines come before the transition that ends it; with that, the stream ends.
pub struct TaskStream {
    inside: Arc<Inside>,
    _place: Place,
    listening: Listening,
    ended: watch::Receiver<bool>,
    id: TaskId,
    following: Following,
    query: LogQuery,
    at: Cursor,
    /// Everything of the task up to here was told.
    heard: Position,
    /// Where the task stood when it was last told of, and in which attempt.
    stands: (State, u32),
    /// Heard and not told yet.
    untold: Option<Heard>,
    /// Told next.
    ready: VecDeque<Said>,
    /// The progress told last, where it may come from another server.
    progress: Option<Progress>,
    /// When to look though nothing was heard.
    next_look: Instant,
    /// There may be lines that were not told.
    more_lines: bool,
    /// Told after every line; with it the stream ends.
    last: Option<Said>,
    is_over: bool,
}

impl TaskStream {
    pub(crate) async fn begin(
        inside: &Arc<Inside>,
        id: TaskId,
        following: Following,
        resume: Option<Cursor>,
    ) -> Result<Self, StreamError> {
        let place = Place::take(inside).ok_or(StreamError::TooMany { limit: inside.watches.most() })?;
        // Listening begins before looking, and the place in the log is older than the look: nothing falls between.
        let listening = Listening::to(inside, id);
        let now = last_position(inside).await?;
        if inside.is_shared {
            inside.watches.hear_from(now);
        }
        let task = one(inside, id).await?.ok_or(StreamError::NotFound)?;
        let query = match following {
            Following::Everything => LogQuery::default(),
            Following::Log(query) => query,
        };
        let mut stream = Self {
            inside: Arc::clone(inside),
            _place: place,
            listening,
            ended: inside.watches.ended(),
            id,
            following,
            query: LogQuery { after: resume.and_then(|it| it.line).or(query.after), ..query },
            at: Cursor { position: now, ..Cursor::default() },
            heard: now,
            stands: (task.facts.state, task.facts.attempt),
            untold: None,
            ready: VecDeque::new(),
            progress: None,
            next_look: Instant::now() + LOOK_AT_LEAST,
            more_lines: true,
            last: None,
            is_over: false,
        };
        stream.at.line = stream.query.after;
        stream.first(&task, resume).await?;
        Ok(stream)
    }

    /// Whether the task was final when the stream began: then it tells what is left, and never waits.
    pub fn is_of_final(&self) -> bool {
        self.stands.0.is_final()
    }

    /// What is told next, once there is anything; `None`: the task is final and all was told, or the server ends its
    /// streams. Dropped while it waits, nothing is lost.
    ///
    /// # Errors
    /// The store did not answer; asking again may help.
    pub async fn next(&mut self) -> Result<Option<Vec<Said>>, StoreError> {
        loop {
            if self.is_over || *self.ended.borrow() {
                return Ok(None);
            }
            if !self.ready.is_empty() {
                return Ok(Some(self.ready.drain(..).collect()));
            }
            if self.more_lines {
                self.read_lines().await?;
                continue;
            }
            if let Some(mut last) = self.last.take() {
                self.is_over = true;
                if let Said::Moved(at, _) = &mut last {
                    // The lines that came before it were told since.
                    at.line = self.at.line;
                }
                return Ok(Some(vec![last]));
            }
            if self.stands.0.is_final() {
                self.is_over = true;
                continue;
            }
            match self.untold.clone() {
                Some(heard) => self.catch_up(&heard).await?,
                None => self.listen().await?,
            }
        }
    }

    /// What is told at the beginning.
    async fn first(&mut self, task: &Task, resume: Option<Cursor>) -> Result<(), StoreError> {
        let state = task.facts.state;
        if self.following != Following::Everything {
            self.last = state.is_final().then_some(Said::End(state));
            return Ok(());
        }
        match resume {
            Some(cursor) => {
                // Everything that the look saw is before this.
                self.heard = last_position(&self.inside).await?;
                match scan(&self.inside, self.id, cursor.position, self.heard).await? {
                    Some(missed) => missed.into_iter().for_each(|(at, event)| self.tell(at, event)),
                    None => {
                        self.ready.push_back(Said::Reset(self.at));
                        self.tell_standing(task);
                    }
                }
                self.at.position = self.heard;
            }
            None => self.tell_standing(task),
        }
        if let Some(progress) = task.progress.clone().filter(|_| state == State::Running) {
            self.tell_progress(progress);
        }
        Ok(())
    }

    fn tell_progress(&mut self, progress: Progress) {
        if self.inside.is_shared {
            self.progress = Some(progress.clone());
        }
        self.ready.push_back(Said::Progress(progress));
    }

    /// Tells where the task stands.
    fn tell_standing(&mut self, task: &Task) {
        let facts = &task.facts;
        let at = match facts.state {
            State::Running => facts.started_at,
            State::Queued => task.queued_at,
            state if state.is_final() => task.finished_at,
            _ => None,
        };
        let event = Transition { from: None, ..task.transition(None, at.unwrap_or(task.created_at)) };
        self.tell(self.at.position, event);
    }

    /// Tells of a transition: at once, or at the end if it is the end.
    fn tell(&mut self, position: Position, event: Transition) {
        self.stands = (event.to, event.attempt);
        self.at.position = position;
        let is_final = event.to.is_final();
        if self.following == Following::Everything {
            let said = Said::Moved(self.at, event);
            if is_final {
                self.last = Some(said);
            } else {
                // Tried again by a hand: what was to be the end was not.
                self.ready.extend(self.last.take());
                self.ready.push_back(said);
            }
        } else {
            self.last = is_final.then_some(Said::End(event.to));
        }
        self.more_lines |= is_final;
    }

    async fn read_lines(&mut self) -> Result<(), StoreError> {
        let Some(page) = self.inside.store.logs(self.id, self.query).await? else {
            self.is_over = true;
            return Ok(());
        };
        self.query.after = page.next.or(page.lines.last().map(|it| it.id)).or(self.query.after);
        self.more_lines = page.next.is_some();
        for line in page.lines {
            self.at.line = Some(line.id);
            self.ready.push_back(Said::Line(self.at, line));
        }
        Ok(())
    }

    /// Waits until something is heard of the task.
    async fn listen(&mut self) -> Result<(), StoreError> {
        let is_elsewhere =
            self.inside.is_shared && self.stands.0 == State::Running && !self.inside.facts.holds_any(self.id);
        self.listening.ear.look_elsewhere(is_elsewhere);
        let Self { listening, ended, next_look, .. } = self;
        let heard = tokio::select! {
            () = listening.ear.rung() => true,
            _ = ended.changed() => return Ok(()),
            () = sleep_until(*next_look) => false,
        };
        if !heard {
            let found = one(&self.inside, self.id).await?;
            return self.look_again(found, is_elsewhere).await;
        }
        // From here to the end nothing waits: what was taken from the ear is kept, should nobody wait for it any more.
        let mut heard = self.listening.ear.take();
        if let Some(found) = heard.looked.take()
            && heard.is_silent()
        {
            return self.look_again(Option::clone(&found), is_elsewhere).await;
        }
        heard.transitions.retain(|(position, _)| *position > self.heard);
        heard.transitions.sort_by_key(|(position, _)| *position);
        // What an attempt said comes before what ended it, and after what began it.
        self.more_lines |= heard.transitions.first().is_none_or(|(_, event)| ends_attempt(event));
        self.untold = Some(heard);
        Ok(())
    }

    /// Tells of what was heard.
    async fn catch_up(&mut self, heard: &Heard) -> Result<(), StoreError> {
        let mut transitions = heard.transitions.clone();
        if heard.missed || !self.follows(&transitions) {
            let upto = match transitions.last() {
                Some((position, _)) if !heard.missed => *position,
                _ => last_position(&self.inside).await?,
            };
            match scan(&self.inside, self.id, self.heard, upto).await? {
                Some(found) => transitions = found,
                None => {
                    self.begin_anew().await?;
                    self.untold = None;
                    return Ok(());
                }
            }
        }
        let rest = transitions.iter().skip(1).position(|(_, event)| ends_attempt(event)).map(|it| it + 1);
        let rest = rest.map_or_else(Vec::new, |it| transitions.split_off(it));
        self.heard = transitions.last().map_or(self.heard, |(position, _)| self.heard.max(*position));
        let then = rest.first().map(|(position, _)| *position);
        self.tell_all(transitions, then);
        self.more_lines |= heard.logged || !rest.is_empty();
        self.untold = (!rest.is_empty()).then(|| Heard { transitions: rest, missed: false, ..heard.clone() });
        if self.untold.is_none() && self.following == Following::Everything && self.last.is_none() {
            heard.progress.clone().into_iter().for_each(|it| self.tell_progress(it));
        }
        Ok(())
    }

    /// Tells of these; `then` is where what comes after them stands.
    fn tell_all(&mut self, transitions: Vec<(Position, Transition)>, then: Option<Position>) {
        let next: Vec<_> = transitions.iter().skip(1).map(|(position, _)| Some(*position)).chain([then]).collect();
        for ((position, event), next) in transitions.into_iter().zip(next) {
            if self.stands == (event.to, event.attempt) && event.from != Some(self.stands.0) {
                // The look at the beginning saw it already.
                continue;
            }
            // Whoever goes on from between two of one commit is told both again.
            let whole = next != Some(position);
            self.tell(if whole { position } else { Position(position.0 - 1) }, event);
        }
    }

    /// Whether each of these comes from where the one before it ended, as far as they were not told.
    fn follows(&self, transitions: &[(Position, Transition)]) -> bool {
        let mut stands = self.stands;
        transitions.iter().all(|(_, event)| {
            let known = stands == (event.to, event.attempt);
            let follows = event.from == Some(stands.0) || known;
            stands = (event.to, event.attempt);
            follows
        })
    }

    /// A look found this, should what happened to the task have been missed.
    async fn look_again(&mut self, found: Option<Task>, is_elsewhere: bool) -> Result<(), StoreError> {
        self.next_look = Instant::now() + LOOK_AT_LEAST;
        match found {
            Some(task) if (task.facts.state, task.facts.attempt) == self.stands => {
                self.more_lines |= is_elsewhere;
                let is_new = is_elsewhere && self.following == Following::Everything && task.progress != self.progress;
                task.progress.filter(|_| is_new).into_iter().for_each(|it| self.tell_progress(it));
                Ok(())
            }
            // The log says how it came there.
            Some(_) if self.inside.is_shared => {
                self.untold = Some(Heard { missed: true, ..Heard::default() });
                Ok(())
            }
            Some(_) => self.begin_anew().await,
            None => {
                self.is_over = true;
                Ok(())
            }
        }
    }

    /// Goes on from where the task stands now.
    async fn begin_anew(&mut self) -> Result<(), StoreError> {
        let position = last_position(&self.inside).await?;
        let Some(task) = one(&self.inside, self.id).await? else {
            self.is_over = true;
            return Ok(());
        };
        (self.heard, self.at.position) = (position, position);
        if self.following == Following::Everything {
            self.ready.push_back(Said::Reset(self.at));
        }
        self.tell_standing(&task);
        self.more_lines = true;
        Ok(())
    }
}

/// Whether an attempt ended by it.
fn ends_attempt(event: &Transition) -> bool {
    event.from == Some(State::Running)
}

async fn one(inside: &Inside, id: TaskId) -> Result<Option<Task>, StoreError> {
    Ok(inside.store.tasks(vec![id]).await?.pop().flatten())
}

/// The transitions of one task after `after` up to `upto`; `None` where the log does not reach back, or too much happened.
async fn scan(
    inside: &Inside,
    id: TaskId,
    after: Position,
    upto: Position,
) -> Result<Option<Vec<(Position, Transition)>>, StoreError> {
    let (mut found, mut at, mut read) = (Vec::new(), after, 0);
    if after > upto {
        return Ok(None);
    }
    while at < upto {
        let page = inside.store.events(at, SCAN_PAGE).await?;
        read += page.events.len();
        if page.reset || read > SCAN {
            return Ok(None);
        }
        let mut events = page.events.into_iter();
        for (position, count) in page.commits {
            found.extend(events.by_ref().take(count).filter(|it| it.task == id).map(|it| (position, it)));
        }
        if page.next == at {
            break;
        }
        at = page.next;
    }
    Ok(Some(found))
}
