//! Schedules: what comes of their slots, whoever looks.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::time::Duration;

use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::TaskFilter;
use tasklane_core::schedule::template::Template;
use tasklane_core::schedule::{Came, Overlap, Rule, ScheduleId, Source, When};
use tasklane_core::state::State;
use tasklane_engine::{NewSchedule, ScheduleChange, ScheduleError, ScheduleQuery, Scheduled};
use world::{SECOND, World};

fn rule(every: Duration, overlap: Overlap) -> Rule {
    Rule { overlap, ..Rule::new(When::Every(every), Template::new("default", "a", "\"{slot}\"")) }
}

async fn make(world: &World, name: &str, rule: Rule) -> Result<Scheduled, ScheduleError> {
    let new = NewSchedule { name: name.into(), source: Source::Caller, rule, paused: false };
    world.engine.make_schedule(new).await
}

/// The payloads of all tasks, in the order in which they were made.
async fn made(world: &World) -> Vec<String> {
    let page = world.engine.list(TaskFilter::default(), None, 1000).await.unwrap();
    page.tasks.iter().rev().map(|it| String::from_utf8(it.payload.to_vec()).unwrap()).collect()
}

async fn came(world: &World, id: ScheduleId) -> Vec<Came> {
    world.engine.slots(id, None, 100).await.unwrap().into_iter().rev().map(|(_, came)| came).collect()
}

#[tokio::test(start_paused = true)]
async fn each_slot_makes_its_task_at_its_time() {
    let world = World::new();
    let daily = make(&world, "often", rule(10 * SECOND, Overlap::Allow)).await.unwrap();
    let began = world.engine.now();
    for n in 1..=3 {
        let leased = world.lease_one(20 * SECOND).await.unwrap();
        assert_eq!(world.engine.now().since(began), n * 10 * SECOND, "it was made when it was due");
        assert_eq!(leased.facts.spec.slot.map(|it| it.schedule), Some(daily.id));
    }
    assert_eq!(
        made(&world).await,
        ["\"2023-11-14T22:13:30Z\"", "\"2023-11-14T22:13:40Z\"", "\"2023-11-14T22:13:50Z\""]
    );
    assert_eq!(came(&world, daily.id).await.len(), 3);
    assert!(matches!(make(&world, "often", rule(SECOND, Overlap::Allow)).await, Err(ScheduleError::NameTaken)));
    assert!(matches!(make(&world, "too", rule(SECOND / 2, Overlap::Allow)).await, Err(ScheduleError::Timetable(_))));
}

#[tokio::test(start_paused = true)]
async fn several_servers_make_one_task_a_slot() {
    let ([one, other, third], _bus) = World::several::<3>();
    let scheduled = make(&one, "often", rule(SECOND, Overlap::Allow)).await.unwrap();
    tokio::time::sleep(120 * SECOND + SECOND / 2).await;
    other.settle_down().await;
    let (made, mut expected) = (made(&third).await, made(&third).await);
    expected.dedup();
    assert_eq!((made.len(), made == expected), (120, true), "{made:?}");
    assert_eq!(came(&other, scheduled.id).await.len(), 100, "as many as were asked for");
}

#[tokio::test(start_paused = true)]
async fn slots_of_one_that_runs_are_skipped_queued_or_take_its_place() {
    for (overlap, expected) in [(Overlap::Skip, 1), (Overlap::QueueOne, 2)] {
        let world = World::new();
        let scheduled = make(&world, "often", rule(10 * SECOND, overlap)).await.unwrap();
        let first = world.lease_one(20 * SECOND).await.unwrap();
        tokio::time::sleep(25 * SECOND).await;
        assert_eq!(made(&world).await.len(), expected, "{overlap:?}");
        assert!(world.lease_one(Duration::ZERO).await.is_none(), "one at a time");
        world.report(&first, Outcome::Succeeded("1".into())).await;
        let next = world.lease_one(20 * SECOND).await.unwrap();
        assert_ne!(next.facts.id, first.facts.id);
        let came = came(&world, scheduled.id).await;
        assert!(came.contains(&Came::Overlapped) && came.contains(&Came::Made(next.facts.id)), "{came:?}");
    }
    let world = World::new();
    make(&world, "often", rule(10 * SECOND, Overlap::Replace)).await.unwrap();
    let first = world.lease_one(20 * SECOND).await.unwrap();
    tokio::time::sleep(15 * SECOND).await;
    let [first, second] = &world.engine.list(TaskFilter::default(), None, 9).await.unwrap().tasks[..] else {
        panic!("{:?} {:?}", first.facts.id, made(&world).await)
    };
    assert!(first.facts.state != State::Running && second.facts.cancel_requested, "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn paused_changed_run_by_hand_and_removed() {
    let world = World::new();
    let id = make(&world, "often", rule(10 * SECOND, Overlap::Allow)).await.unwrap().id;
    world.engine.pause_schedule(id, None, true).await.unwrap();
    tokio::time::sleep(35 * SECOND).await;
    assert!(made(&world).await.is_empty());
    let by_hand = world.engine.run_schedule(id).await.unwrap();
    assert_eq!(world.lease_one(SECOND).await.unwrap().facts.id, by_hand.accepted.id);
    let resumed = world.engine.pause_schedule(id, None, false).await.unwrap();
    assert_eq!(resumed.schedule.due().unwrap().since(world.engine.now()), 5 * SECOND);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(made(&world).await.len(), 2);
    let changed = world.engine.change_schedule(id, None, |was| ScheduleChange {
        name: was.name.clone(),
        rule: rule(100 * SECOND, Overlap::Allow),
        paused: was.schedule.paused,
    });
    let changed = changed.await.unwrap();
    assert_eq!(world.engine.upcoming(id, 1).await.unwrap(), [changed.schedule.due().unwrap()]);
    assert_eq!(world.engine.schedules(ScheduleQuery { most: 9, ..ScheduleQuery::default() }).await.unwrap(), [changed]);
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(made(&world).await.len(), 2);
    world.engine.remove_schedule(id, None).await.unwrap();
    tokio::time::sleep(200 * SECOND).await;
    assert_eq!((made(&world).await.len(), world.engine.schedule(id).await.unwrap()), (2, None));
    assert!(matches!(world.engine.remove_schedule(id, None).await, Err(ScheduleError::NotFound)));
}

/// The names of all schedules, with who set them up and their lengths.
async fn all(world: &World) -> Vec<(String, Source, u64)> {
    let page = world.engine.schedules(ScheduleQuery { most: 9, ..ScheduleQuery::default() }).await.unwrap();
    let every = |it: &Scheduled| if let When::Every(every) = it.schedule.rule.when { every.as_secs() } else { 0 };
    page.iter().map(|it| (it.name.to_string(), it.schedule.source, every(it))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_configuration_is_applied_without_doubles_and_only_it_changes_its_own() {
    let world = World::new();
    make(&world, "by hand", rule(7 * SECOND, Overlap::Allow)).await.unwrap();
    make(&world, "b", rule(7 * SECOND, Overlap::Allow)).await.unwrap();
    let said = |name: &str, seconds| NewSchedule {
        name: name.into(),
        source: Source::Config,
        rule: rule(seconds * SECOND, Overlap::Allow),
        paused: false,
    };
    let configure = async |said| world.engine.configure_schedules(said).await.unwrap();
    configure(vec![said("a", 5), said("b", 5)]).await;
    let of = |name: &str, source, seconds| (name.to_owned(), source, seconds);
    let by_hand = of("by hand", Source::Caller, 7);
    assert_eq!(all(&world).await, [by_hand.clone(), of("b", Source::Config, 5), of("a", Source::Config, 5)]);
    let query = ScheduleQuery { name: Some("a".into()), most: 1, ..ScheduleQuery::default() };
    let before = world.engine.schedules(query.clone()).await.unwrap().remove(0);
    let refused = world.engine.remove_schedule(before.id, None).await;
    assert!(matches!(refused, Err(ScheduleError::OfConfig)), "{refused:?}");
    let paused = world.engine.pause_schedule(before.id, None, true).await.unwrap();
    configure(vec![said("a", 5)]).await;
    assert_eq!(all(&world).await, [by_hand.clone(), of("a", Source::Config, 5)]);
    assert_eq!(world.engine.schedules(query).await.unwrap(), [paused], "nothing else was said, so nothing changed");
    configure(vec![said("a", 6)]).await;
    assert_eq!(all(&world).await, [by_hand, of("a", Source::Config, 6)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_tells_where_its_task_stands() {
    let world = World::new();
    let schedule = make(&world, "s", rule(10 * SECOND, Overlap::Skip)).await.unwrap();
    tokio::time::sleep(25 * SECOND).await;
    let runs = world.engine.runs(schedule.id, None, 9).await.unwrap();
    let told: Vec<_> = runs.iter().map(|(_, came, state)| (matches!(came, Came::Made(_)), *state)).collect();
    assert_eq!(told, [(false, None), (true, Some(State::Queued))]);
}
