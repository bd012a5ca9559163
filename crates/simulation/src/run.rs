//! One run: a storm, a calm in which the world recovers, traffic in the calm that nothing may hold up, and the end, by
//! which every task that was accepted is final.

use std::cell::RefCell;
use std::fmt;
use std::sync::Once;
use std::time::Duration;

use tasklane_core::ports::store::Store;

use crate::ground::{Ground, lock};
use crate::ledger::Tally;
use crate::worker::Worker;
use crate::world::{Place, World};

/// How long faults happen.
const STORM: Duration = Duration::from_secs(25);
/// How long the world has to recover: longer than leases, back-offs and the waits of workers.
const RECOVERY: Duration = Duration::from_secs(15);
/// How long there are new tasks after that.
const TRAFFIC: Duration = Duration::from_secs(10);
/// How long the end may take; past it, what is not final is stuck.
const END: Duration = Duration::from_secs(240);
/// How long after the last end a server may remember leases: longer than they last.
const FORGOTTEN: Duration = Duration::from_secs(12);
/// In the calm no task stays queued for longer while a worker of the only server has room.
const PROMPT: Duration = Duration::from_millis(1_500);
/// The same where another server may have queued it.
const PROMPT_ELSEWHERE: Duration = Duration::from_millis(2_500);

/// A run in which every law held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What happened how often.
    pub tally: Tally,
    /// Equal for equal runs.
    pub trace: u64,
    /// Every line of the trace, where they were asked for.
    pub lines: Vec<String>,
}

/// A run in which a law was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The run.
    pub seed: u64,
    /// When.
    pub at: Duration,
    /// Which law.
    pub what: String,
    /// Equal for equal runs.
    pub trace: u64,
    /// Every line of the trace, where they were asked for.
    pub lines: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, what, .. } = self;
        write!(f, "seed {seed}, after {at:?}: {what}\nalone and with its trace: make simulate SEED={seed}")
    }
}

/// Whether a run keeps the lines of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// They are hashed and forgotten.
    Hashed,
    /// Kept, for whoever looks for a cause.
    Kept,
}

/// Runs one seed.
///
/// # Errors
/// A law was broken.
pub fn run(seed: u64, lines: Lines) -> Result<Passed, Box<Broken>> {
    note_panics();
    let ground = Ground::new(seed, lines == Lines::Kept);
    let mut world = World::new(&ground);
    let ended = live(&mut world);
    let what = ended.err().or_else(|| enough(lock(&ground.ledger).count()));
    let (at, trace) = (ground.net.now(), ground.trace_hash());
    match what {
        None => Ok(Passed { tally: lock(&ground.ledger).count(), trace, lines: ground.take_lines() }),
        Some(what) => Err(Box::new(Broken { seed, at, what, trace, lines: ground.take_lines() })),
    }
}

fn live(world: &mut World) -> Result<(), String> {
    let dice = world.ground.dice.clone();
    while world.ground.net.now() < STORM {
        let time = *dice.pick(&[0, 1, 2, 10, 30, 60].map(Duration::from_millis));
        world.strike(time);
        traffic(world, time, 2_000);
        meddle(world, time);
        world.tick(time, 24);
        look(world)?;
    }
    world.calm();
    pass(world, RECOVERY, |_, _| {})?;
    // Only now: until here somebody's late wish to pause may have come.
    world.callers.open_all();
    lock(&world.ground.ledger).calm();
    let begun = world.ground.net.now();
    pass(world, TRAFFIC, |world, time| {
        traffic(world, time, 1_000);
        use_hands(world, time);
        prompt(world, begun);
    })?;
    let end = world.ground.net.now() + END;
    while !(world.callers.are_answered() && lock(&world.ground.ledger).unfinished() == 0) {
        if world.ground.net.now() > end {
            let stuck = lock(&world.ground.ledger).stuck();
            return Err(format!("stuck: every submit answered is {}{stuck}", world.callers.are_answered()));
        }
        quiet_tick(world)?;
        prompt(world, begun);
    }
    forgotten(world)
}

/// What is no more is forgotten everywhere: else a server's memory grows by every lease that another one rescued.
fn forgotten(world: &mut World) -> Result<(), String> {
    pass(world, FORGOTTEN, |_, _| {})?;
    for (number, server) in world.servers.iter_mut().filter_map(Place::up).enumerate() {
        let held: usize = server.engine.workers().iter().map(|it| it.running).sum();
        if held > 0 {
            return Err(format!("server {number} still holds {held} leases of tasks that are final"));
        }
    }
    Ok(())
}

fn pass(world: &mut World, time: Duration, mut each: impl FnMut(&mut World, Duration)) -> Result<(), String> {
    let until = world.ground.net.now() + time;
    while world.ground.net.now() < until {
        let passed = quiet_tick(world)?;
        each(world, passed);
    }
    Ok(())
}

fn quiet_tick(world: &mut World) -> Result<Duration, String> {
    let time = world.ground.dice.millis(10, 50);
    world.tick(time, 60);
    look(world).map(|()| time)
}

/// New submissions, so many of a thousand a second.
fn traffic(world: &mut World, time: Duration, per_mille: u64) {
    if world.ground.dice.below(1_000_000) < per_mille * time.as_millis() as u64 {
        world.callers.submit();
    }
}

fn meddle(world: &mut World, time: Duration) {
    let happens = |per_mille: u64| world.ground.dice.below(1_000_000) < per_mille * time.as_millis() as u64;
    if happens(500) {
        world.callers.meddle();
    }
    if happens(100) {
        world.callers.control();
    }
    if happens(500) {
        world.callers.wait();
    }
}

/// In the calm callers wait for tasks and cancel what runs.
fn use_hands(world: &mut World, time: Duration) {
    let happens = |per_mille: u64| world.ground.dice.below(1_000_000) < per_mille * time.as_millis() as u64;
    if happens(1_000) {
        world.callers.wait();
    }
    if happens(300) {
        world.callers.cancel();
    }
}

/// In the calm nobody waits for nothing: a task does not stay queued while a worker has room.
fn prompt(world: &mut World, since: Duration) {
    let now = world.ground.net.now();
    let has_room = |it: &Place<Worker>| matches!(it, Place::Up(worker, _) if worker.has_room());
    if !world.workers.iter().any(has_room) {
        world.full_at = now;
    }
    lock(&world.ground.ledger).cancels_are_prompt();
    lock(&world.ground.ledger).look_at_gates(Store::now(&*world.store));
    let prompt = if world.servers.len() == 1 { PROMPT } else { PROMPT_ELSEWHERE };
    let before = now.saturating_sub(prompt);
    if world.full_at < before {
        let mut ledger = lock(&world.ground.ledger);
        if let Some(id) = ledger.queued_between(since, before) {
            ledger.break_law(|| format!("{id} has been queued for {prompt:?} while a worker has room"));
        }
    }
}

/// The laws, and panics anywhere, which tokio would swallow.
fn look(world: &World) -> Result<(), String> {
    if let Some(panic) = PANIC.take() {
        return Err(format!("something panicked: {panic}"));
    }
    lock(&world.ground.ledger).wrong().map_or(Ok(()), |wrong| Err(wrong.to_owned()))
}

/// A run can keep every law by doing nothing.
fn enough(tally: Tally) -> Option<String> {
    let is_enough = tally.accepted >= 10 && tally.succeeded * 2 >= tally.accepted;
    (!is_enough).then(|| format!("too little happened for a proof: {tally:?}"))
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of this thread are noted beside being printed.
fn note_panics() {
    static ONCE: Once = Once::new();
    PANIC.take();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANIC.with_borrow_mut(|it| _ = it.get_or_insert_with(|| panic.to_string()));
            before(panic);
        }));
    });
}
