//! Gates: how many tasks of a kind run at a time, and how many of them start in a time. A task may start while all its gates
//! have room; it takes a slot of each then, and gives them back when its attempt ends, however it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limit;
use crate::queue::is_of_system;
use crate::state::State;
use crate::task::{Facts, Lane, Scope, TaskId};
use crate::time::Timestamp;

/// The tenant of a gate that stands in for the gates of all tenants with the same key: see [`in_force`]. No task passes it.
pub const EVERY_TENANT: &str = "*";

/// Which gate. The order is the one in which gates are locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GateName {
    /// Every task of this queue passes it.
    Queue(Box<str>),
    /// Every task of this type passes it.
    Type(Box<str>),
    /// Tasks of one tenant that name this key pass it.
    Key {
        /// Whose; empty is nobody's, [`EVERY_TENANT`] stands in for all.
        tenant: Box<str>,
        /// As the tasks say it.
        key: Box<str>,
    },
}

/// For people: the kind, and the name; the tenant only where it is somebody's.
impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(queue) => write!(f, "the gate of queue {queue:?}"),
            Self::Type(task_type) => write!(f, "the gate of type {task_type:?}"),
            Self::Key { tenant, key } if tenant.is_empty() => write!(f, "the gate of key {key:?}"),
            Self::Key { tenant, key } => write!(f, "the gate of key {key:?} of tenant {tenant:?}"),
        }
    }
}

impl GateName {
    /// The gate that stands in for this one; only keys of tenants have one.
    pub fn stand_in(&self) -> Option<Self> {
        match self {
            Self::Key { tenant, key } if **tenant != *EVERY_TENANT => {
                Some(Self::Key { tenant: EVERY_TENANT.into(), key: key.clone() })
            }
            _ => None,
        }
    }
}

/// So many starts in any span of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many, within [`limit::RATE_COUNT`].
    pub count: u32,
    /// In how long, within [`limit::RATE_PER`].
    pub per: Duration,
}

/// What a gate lets through. One without bounds is always open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bounds {
    /// Most tasks that run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Most starts in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// A gate as a submission names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which, among those of its tenant.
    pub key: Box<str>,
    /// What it is to let through. Without any bounds the gate is passed as it is, and not changed.
    pub bounds: Bounds,
}

impl Limit {
    /// No limits, shared: a task without any costs nothing.
    pub fn none() -> Arc<[Self]> {
        static NONE: LazyLock<Arc<[Limit]>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// These limits in the order of their keys; the last word about a key holds.
    pub fn share(limits: impl IntoIterator<Item = Self>) -> Arc<[Self]> {
        let by_key: BTreeMap<Box<str>, Bounds> = limits.into_iter().map(|it| (it.key, it.bounds)).collect();
        if by_key.is_empty() {
            return Self::none();
        }
        by_key.into_iter().map(|(key, bounds)| Self { key, bounds }).collect()
    }

    /// Limits that pass the gates of these keys as they are.
    pub fn as_they_are(keys: &[Box<str>]) -> Arc<[Self]> {
        Self::share(keys.iter().map(|key| Self { key: key.clone(), bounds: Bounds::default() }))
    }

    /// The keys alone, as [`Facts::gates`] holds them.
    pub fn keys(limits: &[Self]) -> Arc<[Box<str>]> {
        if limits.is_empty() {
            return no_keys();
        }
        limits.iter().map(|it| it.key.clone()).collect()
    }
}

/// The keys of a task that names none, shared.
pub fn no_keys() -> Arc<[Box<str>]> {
    static NONE: LazyLock<Arc<[Box<str>]>> = LazyLock::new(Arc::default);
    Arc::clone(&NONE)
}

/// Who said what a gate lets through. A weaker word changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// A task that names it.
    Task,
    /// The configuration.
    Config,
    /// Somebody, by hand.
    Operator,
}

/// What holds at a gate, and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What it lets through.
    pub bounds: Bounds,
    /// Whose word that is.
    pub set_by: SetBy,
}

impl Definition {
    /// What a task says of a gate that it names.
    pub fn of_task(bounds: Bounds) -> Self {
        Self { bounds, set_by: SetBy::Task }
    }

    /// Whether this one gives way to what `by` says.
    pub fn yields_to(&self, by: SetBy) -> bool {
        self.set_by <= by
    }
}

/// What holds at a gate, given its own definition and that of its [`GateName::stand_in`]: where only tasks defined the
/// gate, or nobody, the stand-in does.
pub fn in_force(own: Option<Definition>, stand_in: Option<Definition>) -> Option<Definition> {
    own.filter(|it| it.set_by > SetBy::Task).or(stand_in).or(own)
}

/// A gate to be defined or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetGate {
    /// Which.
    pub name: GateName,
    /// Whose word it is; a stronger one that was said before stands.
    pub by: SetBy,
    /// What it is to let through from the next lease on; `None` forgets the gate with its starts, until a task names it.
    pub bounds: Option<Bounds>,
}

/// A gate as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Which.
    pub name: GateName,
    /// What it lets through: [`in_force`].
    pub bounds: Bounds,
    /// Whose word that is.
    pub set_by: SetBy,
    /// Running tasks that pass it; each holds a slot.
    pub running: u64,
    /// Queued tasks that pass it, whether they wait for it or for something else.
    pub waiting: u64,
    /// When its rate lets the next task start, if that is not now.
    pub opens_at: Option<Timestamp>,
}

impl Gate {
    /// Whether no task can start that passes it.
    pub fn is_full(&self) -> bool {
        self.opens_at.is_some() || self.bounds.max_running.is_some_and(|most| self.running >= most.into())
    }
}

/// A gate with those that hold its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateDetail {
    /// The gate.
    pub gate: Gate,
    /// Running tasks that hold a slot and who runs them, the first [`limit::GATE_HOLDERS`] in the order of ids.
    pub holders: Vec<(TaskId, Option<Box<str>>)>,
}

/// When tasks started at a gate with a rate, as far as it matters: moments with the number of starts, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts(Vec<(Timestamp, u32)>);

impl Starts {
    /// Whether no start is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many more may start at `now`.
    pub fn room(&self, rate: Rate, now: Timestamp) -> u32 {
        let counted = self.counted(rate, now).map(|(_, n)| n).fold(0, u32::saturating_add);
        rate.count.saturating_sub(counted)
    }

    /// So many start at `now`. What no longer counts is forgotten; where more moments are left than are told apart, two
    /// neighbours become the later of both, so that never more start than the rate allows and some a little later.
    pub fn take(&mut self, rate: Rate, now: Timestamp, n: u32) {
        self.0.retain(|(at, _)| at.plus(rate.per) > now);
        match self.0.last_mut() {
            // A clock may stand still, or be put back by a little.
            Some((last, starts)) if *last >= now => *starts = starts.saturating_add(n),
            _ => self.0.push((now, n)),
        }
        if self.0.len() > limit::RATE_MOMENTS {
            self.join_nearest();
        }
    }

    /// When there is room again; `None`: now.
    pub fn opens_at(&self, rate: Rate, now: Timestamp) -> Option<Timestamp> {
        if self.room(rate, now) > 0 {
            return None;
        }
        let mut left = self.counted(rate, now).map(|(_, n)| n).fold(0, u32::saturating_add);
        self.counted(rate, now).find_map(|(at, n)| {
            left = left.saturating_sub(n);
            (left < rate.count).then(|| at.plus(rate.per))
        })
    }

    /// When the next of the starts no longer counts, so that there is more room; `None`: all of it is there.
    pub fn grows_at(&self, rate: Rate, now: Timestamp) -> Option<Timestamp> {
        self.counted(rate, now).map(|(at, _)| at.plus(rate.per)).next()
    }

    /// Starts that still count.
    fn counted(&self, rate: Rate, now: Timestamp) -> impl Iterator<Item = (Timestamp, u32)> + '_ {
        self.0.iter().copied().filter(move |(at, _)| at.plus(rate.per) > now)
    }

    fn join_nearest(&mut self) {
        let gap = |at: usize| self.0[at + 1].0.since(self.0[at].0);
        if let Some(at) = (0..self.0.len().saturating_sub(1)).min_by_key(|at| gap(*at)) {
            let (_, n) = self.0.remove(at);
            self.0[at].1 = self.0[at].1.saturating_add(n);
        }
    }
}

/// How many tasks a gate has room for, with so many `running`.
pub fn room(bounds: &Bounds, running: u64, starts: &Starts, now: Timestamp) -> u32 {
    let running = u32::try_from(running).unwrap_or(u32::MAX);
    let free = bounds.max_running.map_or(u32::MAX, |most| most.saturating_sub(running));
    bounds.rate.map_or(free, |rate| free.min(starts.room(rate, now)))
}

/// The gates that a task of this lane and scope with these keys passes, if there are such. What the system does passes those of
/// its keys alone, which it named itself.
pub fn gates_of<'t>(lane: &'t Lane, scope: &'t Scope, keys: &'t [Box<str>]) -> impl Iterator<Item = GateName> + 't {
    let own = [GateName::Queue(lane.queue.clone()), GateName::Type(lane.task_type.clone())];
    let named = keys.iter().map(|key| GateName::Key { tenant: scope.tenant.clone(), key: key.clone() });
    own.into_iter().filter(|_| !is_of_system(&lane.queue)).chain(named)
}

impl Facts {
    /// The gates that the task passes, if there are such.
    pub fn passes(&self) -> impl Iterator<Item = GateName> + '_ {
        gates_of(&self.lane, &self.scope, &self.gates)
    }
}

/// The state that is shown of a task: one that is queued behind a full gate is blocked.
pub fn shown(state: State, is_closed: bool) -> State {
    if state == State::Queued && is_closed { State::Blocked } else { state }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH.plus(Duration::from_millis(millis))
    }

    fn rate(count: u32, millis: u64) -> Rate {
        Rate { count, per: Duration::from_millis(millis) }
    }

    #[test]
    fn a_gate_has_room_for_the_least_of_what_its_bounds_leave() {
        let mut starts = Starts::default();
        let bounds = Bounds { max_running: Some(3), rate: Some(rate(5, 1000)) };
        assert_eq!(room(&bounds, 1, &starts, at(0)), 2);
        starts.take(rate(5, 1000), at(0), 4);
        assert_eq!((room(&bounds, 0, &starts, at(0)), room(&bounds, 0, &starts, at(1000))), (1, 3));
        assert_eq!(room(&bounds, 9, &starts, at(1000)), 0, "a limit that was lowered");
        assert_eq!(room(&Bounds::default(), u64::MAX, &starts, at(0)), u32::MAX);
    }

    #[test]
    fn what_the_system_does_passes_only_what_it_named() {
        let keys = ["k".into()];
        let of = |queue| gates_of(&Lane { queue, task_type: "t".into() }, &Scope::default(), &keys).count();
        assert_eq!((of("~bulk".into()), of("q".into())), (1, 3));
    }

    #[test]
    fn a_full_gate_is_shown_of_what_is_queued_alone() {
        assert_eq!(shown(State::Queued, true), State::Blocked);
        assert_eq!([shown(State::Queued, false), shown(State::Running, true)], [State::Queued, State::Running]);
    }

    #[test]
    fn limits_are_kept_by_their_keys_and_none_are_shared() {
        let limit = |key: &str, most| {
            let bounds = Bounds { max_running: Some(most), rate: None };
            Limit { key: key.into(), bounds }
        };
        let limits = Limit::share([limit("b", 1), limit("a", 2), limit("b", 3)]);
        assert_eq!(*limits, [limit("a", 2), limit("b", 3)]);
        assert_eq!(*Limit::keys(&limits), ["a".into(), "b".into()]);
        assert!(Limit::as_they_are(&Limit::keys(&limits)).iter().all(|it| it.bounds == Bounds::default()));
        assert!(Arc::ptr_eq(&Limit::share([]), &Limit::none()) && Arc::ptr_eq(&Limit::keys(&[]), &no_keys()));
    }

    #[test]
    fn a_stand_in_holds_where_only_tasks_defined_the_gate() {
        let set_by = |set_by| Some(Definition { bounds: Bounds::default(), set_by });
        let holds = |own: Option<SetBy>, other: Option<SetBy>| {
            in_force(own.and_then(set_by), other.and_then(set_by)).map(|it| it.set_by)
        };
        let (task, config, operator) = (Some(SetBy::Task), Some(SetBy::Config), Some(SetBy::Operator));
        let held = [(None, None), (task, None), (None, config), (task, config), (operator, config), (config, operator)];
        assert_eq!(held.map(|(own, other)| holds(own, other)), [None, task, config, config, operator, config]);
        let name = |tenant: &str| GateName::Key { tenant: tenant.into(), key: "k".into() };
        assert_eq!(
            [name("a"), name("*"), GateName::Queue("q".into())].map(|it| it.stand_in()),
            [Some(name("*")), None, None]
        );
    }

    #[test]
    fn a_weaker_word_changes_nothing() {
        let of = |set_by| Definition { bounds: Bounds::default(), set_by };
        let words = [SetBy::Task, SetBy::Config, SetBy::Operator];
        let yields = words.map(|stands| words.map(|by| of(stands).yields_to(by)));
        assert_eq!(yields, [[true, true, true], [false, true, true], [false, false, true]]);
    }

    proptest! {
        /// Whoever takes what there is room for never starts more than the rate allows in any span of its length, and is
        /// told exactly when there is room again.
        #[test]
        fn a_rate_holds_in_every_span(count in 1_u32..5, per in 1_u64..200, waits in prop::collection::vec((0_u64..30, 1_u32..4), 1..300)) {
            let rate = rate(count, per);
            let (mut starts, mut now, mut started) = (Starts::default(), 0, Vec::new());
            for (wait, wanted) in waits {
                now += wait;
                let n = wanted.min(starts.room(rate, at(now)));
                if n > 0 {
                    starts.take(rate, at(now), n);
                    started.extend(std::iter::repeat_n(now, n as usize));
                }
                match starts.opens_at(rate, at(now)) {
                    None => prop_assert!(starts.room(rate, at(now)) > 0),
                    Some(opens) => {
                        let opens = opens.as_micros() as u64 / 1000;
                        prop_assert_eq!(starts.room(rate, at(opens - 1)), 0);
                        prop_assert!(starts.room(rate, at(opens)) > 0);
                    }
                }
            }
            for (first, last) in started.iter().zip(started.iter().skip(count as usize)) {
                prop_assert!(last - first >= per, "{started:?}");
            }
        }

        /// However many moments there are, few are told apart, and what is forgotten is forgotten too late rather than too
        /// early.
        #[test]
        fn more_moments_than_are_told_apart_only_wait_longer(n in 65_u32..300) {
            let rate = rate(n, 1000);
            let mut starts = Starts::default();
            (0..n).for_each(|it| starts.take(rate, at(u64::from(it)), 1));
            prop_assert!(starts.0.len() <= limit::RATE_MOMENTS);
            prop_assert_eq!(starts.room(rate, at(u64::from(n))), 0);
            prop_assert_eq!(starts.room(rate, at(999)), 0);
            prop_assert_eq!(starts.room(rate, at(u64::from(n) + 999)), n);
        }
    }
}
