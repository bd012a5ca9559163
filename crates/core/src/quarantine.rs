//! Types whose tasks kill their workers: told from the event log alone, so that everybody who reads it tells the same.
//!
//! A type is crashing where [`TASKS`] different tasks of it were quarantined by a row of crashes within [`WITHIN`]. That is
//! told by the event of the last of them, and again at most once in each hour of the store's clock: so whoever reads the
//! log from [`since`] on knows all that it takes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::event::Transition;
use crate::limit;
use crate::queue::is_of_system;
use crate::state::Reason;
use crate::task::TaskId;
use crate::time::Timestamp;

/// So many different tasks of a type make it a crashing one.
pub const TASKS: usize = 3;
/// Within so long.
pub const WITHIN: Duration = Duration::from_secs(600);
/// It is told at most once in each.
pub const HOUR: Duration = Duration::from_secs(3600);

/// Tasks of a type kill their workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crashing {
    /// The type.
    pub task_type: Box<str>,
    /// The queue of the task by which it is told.
    pub queue: Box<str>,
    /// How many of its tasks, at most [`limit::CRASHING_TASKS`], were quarantined within [`WITHIN`].
    pub tasks: usize,
    /// When the last of them was.
    pub at: Timestamp,
}

impl Crashing {
    /// Whether the type still counts as crashing at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        now.minus(HOUR) < self.at
    }
}

/// Whether the event says that a row of crashes quarantined a task.
pub fn is_crash_loop(event: &Transition) -> bool {
    event.reason == Reason::CrashLoop
}

/// From when on the log must be read to tell what an event at `at` makes of its type.
pub fn since(at: Timestamp) -> Timestamp {
    let into_hour = at.as_micros().rem_euclid(HOUR.as_micros() as i64);
    Timestamp::from_micros(at.as_micros() - into_hour).minus(WITHIN)
}

/// What is known of the types, on the way through the log.
#[derive(Debug, Default)]
pub struct Crashes {
    types: BTreeMap<Box<str>, OfType>,
}

#[derive(Debug, Default)]
struct OfType {
    recent: VecDeque<(Timestamp, TaskId)>,
    /// The hour in which it was told last.
    told: Option<i64>,
}

impl Crashes {
    /// Hears the next [`Reason::CrashLoop`] of the log; what it tells of its type.
    pub fn hear(&mut self, event: &Transition) -> Option<Crashing> {
        let (lane, at) = (&event.lane, event.at);
        if is_of_system(&lane.queue) || !self.has_room(&lane.task_type, at) {
            return None;
        }
        let of_type = self.types.entry(lane.task_type.clone()).or_default();
        of_type.recent.retain(|(then, task)| at.minus(WITHIN) < *then && *task != event.task);
        of_type.recent.push_back((at, event.task));
        if of_type.recent.len() > limit::CRASHING_TASKS {
            of_type.recent.pop_front();
        }
        let (tasks, hour) = (of_type.recent.len(), at.as_micros().div_euclid(HOUR.as_micros() as i64));
        if tasks < TASKS || of_type.told == Some(hour) {
            return None;
        }
        of_type.told = Some(hour);
        Some(Crashing { task_type: lane.task_type.clone(), queue: lane.queue.clone(), tasks, at })
    }

    /// Whether the type is known or can be; types that nothing was heard of for long are forgotten for it.
    fn has_room(&mut self, task_type: &str, at: Timestamp) -> bool {
        if self.types.contains_key(task_type) || self.types.len() < limit::CRASHING_TYPES {
            return true;
        }
        let old = at.minus(HOUR + WITHIN);
        self.types.retain(|_, it| it.recent.back().is_some_and(|(then, _)| *then > old));
        self.types.len() < limit::CRASHING_TYPES
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::state::State;
    use crate::task::{Lane, Scope};

    const BEGIN: i64 = 3600 * 1000;

    /// So many seconds after an hour began.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros((BEGIN + seconds) * 1_000_000)
    }

    fn crash(queue: &str, task_type: &str, task: u128, seconds: i64) -> Transition {
        Transition {
            task: TaskId(Uuid::from_u128(task)),
            lane: Lane::new(queue, task_type),
            scope: Scope::native(),
            from: Some(State::Running),
            to: State::Failed,
            reason: Reason::CrashLoop,
            attempt: 3,
            at: at(seconds),
        }
    }

    fn told(events: &[Transition]) -> Vec<(i64, usize)> {
        let mut crashes = Crashes::default();
        let heard = events.iter().filter_map(|it| crashes.hear(it));
        heard.map(|it| (it.at.as_micros() / 1_000_000 - BEGIN, it.tasks)).collect()
    }

    #[test]
    fn the_third_task_of_a_type_within_ten_minutes_tells_and_once_an_hour() {
        let of = |seconds: &[i64]| -> Vec<_> {
            seconds.iter().enumerate().map(|(task, at)| crash("q", "t", task as u128, *at)).collect()
        };
        assert_eq!(told(&of(&[0, 1, 599, 600])), [(599, 3)]);
        assert_eq!(told(&of(&[0, 301, 601, 900])), [(900, 3)], "the first was too long ago at 601");
        assert_eq!(told(&of(&[3500, 3550, 3599, 3600, 3601, 7200])), [(3599, 3), (3600, 4)], "a new hour");
    }

    #[test]
    fn one_task_again_and_again_tells_nothing_nor_do_tasks_of_others() {
        let again: Vec<_> = (0..9).map(|at| crash("q", "t", 1, at)).collect();
        assert_eq!(told(&again), []);
        let types = ["a", "b", "c"].map(|it| crash("q", it, it.len() as u128, 5));
        assert_eq!(told(&types), []);
        let system: Vec<_> = (0..9).map(|at| crash("~bulk", "t", at as u128, at)).collect();
        assert_eq!(told(&system), []);
        let queues: Vec<_> = (0..3).map(|at| crash(["p", "q", "r"][at as usize], "t", at as u128, at)).collect();
        assert_eq!(told(&queues), [(2, 3)], "a type is one in all queues");
    }

    #[test]
    fn who_reads_from_since_on_tells_what_who_read_all_tells() {
        let events: Vec<_> = (0..200_i64).map(|n| crash("q", "t", n as u128, n * 97)).collect();
        let all = told(&events);
        for (seconds, tasks) in &all {
            let from = since(at(*seconds));
            let part: Vec<_> = events.iter().filter(|it| it.at >= from).cloned().collect();
            assert!(told(&part).contains(&(*seconds, *tasks)), "{seconds}");
        }
        assert!(all.len() > 4, "{all:?}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut crashes = Crashes::default();
        for n in 0..limit::CRASHING_TYPES as u128 + 5 {
            crashes.hear(&crash("q", &format!("t{n}"), n, 0));
        }
        assert_eq!(crashes.types.len(), limit::CRASHING_TYPES);
        crashes.hear(&crash("q", "later", 1, 9000));
        assert!(crashes.types.len() == 1 && crashes.types.contains_key("later"));
        let many: Vec<_> = (0..5000).map(|n| crash("q", "t", n, 3599 + i64::from(n > 4990))).collect();
        assert_eq!(told(&many)[1].1, limit::CRASHING_TASKS);
    }
}
