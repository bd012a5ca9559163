//! Streams over the memory store, on tokio's paused clock.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::event::{Cursor, EventFilter, OfTypes, Position};
use tasklane_core::hand::Hand;
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::ports::store::LogQuery;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Spec};
use tasklane_engine::{EventStream, Following, ReportCall, Said, TaskStream};
use world::World;

/// States and lines, to the end.
async fn told(stream: &mut TaskStream) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(said) = stream.next().await.unwrap() {
        told.extend(said.iter().map(word));
    }
    told
}

fn word(said: &Said) -> String {
    match said {
        Said::Moved(_, event) => event.to.to_string(),
        Said::Crashing(_, it) => format!("crashing {} {}", it.task_type, it.tasks),
        Said::Progress(progress) => format!("{:?}", progress.percent),
        Said::Line(_, line) => line.message.to_string(),
        Said::Reset(_) => "reset".into(),
        Said::End(state) => format!("end {state}"),
    }
}

async fn next(stream: &mut EventStream) -> Vec<String> {
    stream.next().await.unwrap().unwrap().iter().map(word).collect()
}

fn line(n: u64) -> Line {
    Line { n, level: Level::Info, message: format!("line {n}"), fields: None, after: Duration::ZERO }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_heard_in_time_is_read_from_the_log() {
    let world = World::new();
    let id = world.submit("a").await;
    let mut stream = world.engine.follow(id, Following::Everything, None).await.unwrap();
    for _ in 0..80 {
        let leased = world.lease_one(Duration::ZERO).await.unwrap();
        world.report(&leased, Outcome::Released).await;
    }
    world.engine.hand(id, Hand::Cancel).await.unwrap();
    let told = told(&mut stream).await;
    let again = ["queued", "running"].iter().cycle().take(161).map(ToString::to_string);
    assert_eq!(told, again.chain(["cancelled".to_owned()]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn lines_come_before_the_end_and_once() {
    let world = World::new();
    let id = world.submit("a").await;
    let leased = world.lease_one(Duration::ZERO).await.unwrap();
    let mut stream = world.engine.follow(id, Following::Everything, None).await.unwrap();
    let mut log = world.engine.follow(id, Following::Log(LogQuery::default()), None).await.unwrap();
    for n in [0, 1, 1, 2] {
        let logs = vec![(leased.key(), line(n))];
        world.engine.report(ReportCall { logs, ..world.report_call(Vec::new()) }).await.unwrap();
    }
    let last = ReportCall {
        logs: vec![(leased.key(), line(3)), (leased.key(), line(4))],
        ..world.report_call(vec![(leased.key(), Outcome::Succeeded("1".into()))])
    };
    world.engine.report(last).await.unwrap();
    let lines = ["line 0", "line 1", "line 2", "line 3", "line 4"];
    let told_of_task = told(&mut stream).await;
    assert_eq!(
        (&*told_of_task[0], &told_of_task[1..6], &*told_of_task[6]),
        ("running", &lines.map(String::from)[..], "succeeded")
    );
    let told_of_log = told(&mut log).await;
    assert_eq!((&told_of_log[..5], &*told_of_log[5]), (&lines.map(String::from)[..], "end succeeded"));
}

#[tokio::test(start_paused = true)]
async fn every_cursor_leads_on_without_a_gap() {
    let world = World::new();
    let mut stream = world.engine.subscribe(EventFilter::default(), None).await.unwrap();
    for n in 0..6 {
        world.submit_to(if n % 3 == 0 { "~system" } else { "default" }, "a").await;
        if n % 2 == 0 {
            world.lease_one(Duration::ZERO).await;
        }
    }
    let mut all = Vec::new();
    while all.len() < 6 {
        all.extend(stream.next().await.unwrap().unwrap());
    }
    let cursors: Vec<_> =
        all.iter().map(|said| if let Said::Moved(at, _) = said { *at } else { panic!("{said:?}") }).collect();
    for (n, cursor) in cursors.iter().enumerate() {
        let mut from = world.engine.subscribe(EventFilter::default(), Some(*cursor)).await.unwrap();
        let mut rest = Vec::new();
        while rest.len() < all.len() - n - 1 {
            rest.extend(from.next().await.unwrap().unwrap());
        }
        assert_eq!(rest, all[n + 1..], "from {cursor:?}");
    }
    assert!(all.iter().all(|said| !matches!(said, Said::Moved(_, event) if event.lane.queue.starts_with('~'))));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_no_more_resets_the_stream() {
    let world = World::new();
    let far = Cursor { position: Position(1 << 40), ..Cursor::default() };
    let mut stream = world.engine.subscribe(EventFilter::default(), Some(far)).await.unwrap();
    assert_eq!(next(&mut stream).await, ["reset"]);
    world.submit("a").await;
    assert_eq!(next(&mut stream).await, ["queued"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_far_behind_does_not_rest() {
    let world = World::new();
    for _ in 0..3_500 {
        world.submit("a").await;
    }
    let from = Cursor { position: Position(0), ..Cursor::default() };
    let mut stream = world.engine.subscribe(EventFilter::default(), Some(from)).await.unwrap();
    let (began, mut told) = (tokio::time::Instant::now(), 0);
    while told < 3_500 {
        told += next(&mut stream).await.len();
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "on the paused clock");
}

#[tokio::test(start_paused = true)]
async fn a_filter_lets_through_what_fits() {
    let world = World::new();
    let filter = EventFilter { to: vec![State::Running], task_type: Some("b".into()), ..EventFilter::default() };
    let mut stream = world.engine.subscribe(filter, None).await.unwrap();
    world.submit("a").await;
    world.lease_one(Duration::ZERO).await.unwrap();
    let id = world.submit("b").await;
    world.lease_one(Duration::ZERO).await.unwrap();
    let Some(said) = stream.next().await.unwrap() else { panic!("the stream ended") };
    assert!(matches!(&said[..], [Said::Moved(_, event)] if event.task == id), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_they_are_to() {
    let world = World::new();
    let id = world.submit("a").await;
    let mut stream = world.engine.follow(id, Following::Everything, None).await.unwrap();
    let mut all = world.engine.subscribe(EventFilter::default(), None).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().len(), 1);
    let waiting = tokio::spawn(async move { (stream.next().await, all.next().await) });
    world.settle_down().await;
    world.engine.end_streams();
    let (task, all) = waiting.await.unwrap();
    assert_eq!((task.unwrap(), all.unwrap()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_loses_nothing() {
    let world = World::new();
    let id = world.submit("a").await;
    let mut stream = world.engine.follow(id, Following::Everything, None).await.unwrap();
    let mut told = Vec::new();
    let mut end = None;
    for n in 0..200 {
        // Given up after ever more steps.
        let mut next = Box::pin(stream.next());
        for _ in 0..n % 7 {
            if let std::task::Poll::Ready(said) = futures_poll(next.as_mut()) {
                match said.unwrap() {
                    Some(said) => told.extend(said.iter().map(word)),
                    None => end = Some(n),
                }
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(next);
        if n == 20 || n == 60 || n == 90 {
            let leased = world.lease_one(Duration::ZERO).await.unwrap();
            let logs = vec![(leased.key(), line(0))];
            let outcome = if n == 90 { Outcome::Succeeded("1".into()) } else { Outcome::Released };
            let report = ReportCall { logs, ..world.report_call(vec![(leased.key(), outcome)]) };
            world.engine.report(report).await.unwrap();
        }
        if end.is_some() {
            break;
        }
    }
    let round = ["running", "line 0", "queued"];
    assert_eq!(told[0], "queued");
    assert_eq!(told[1..7], [round, round].concat());
    assert_eq!(told[7..], ["running", "line 0", "succeeded"]);
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

/// Accepts a task of this type and lets it kill three workers.
async fn crash(world: &World, task_type: &str) {
    let lane = Lane::new("default", task_type);
    let spec = Arc::new(Spec { max_attempts: 9, ..Spec::default() });
    world.submit_with(|new| (new.lane, new.spec) = (lane, spec)).await;
    for _ in 0..3 {
        let leased = world.lease_one(Duration::from_secs(5)).await.unwrap();
        let failure = Failure::new(FailureKind::Killed, "signal 11");
        world.report(&leased, Outcome::Failed { failure, retry_after: Some(Duration::ZERO) }).await;
    }
}

/// What is told until a type is crashing or `many` tasks failed.
async fn told_until(stream: &mut EventStream, many: usize) -> (Vec<String>, Vec<Cursor>) {
    let (mut words, mut cursors) = (Vec::new(), Vec::new());
    while words.iter().filter(|it: &&String| *it == "failed").count() < many {
        for said in stream.next().await.unwrap().unwrap() {
            match &said {
                Said::Moved(_, event) if event.to != State::Failed => continue,
                Said::Moved(at, _) | Said::Crashing(at, _) => cursors.push(*at),
                _ => continue,
            }
            words.push(word(&said));
        }
    }
    (words, cursors)
}

async fn crashing(world: &World) -> Vec<String> {
    let types = world.engine.types().await.unwrap();
    types.iter().filter(|it| it.crashing.is_some()).map(|it| it.name.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_type_whose_tasks_kill_their_workers_is_told_of_once() {
    let world = World::new();
    let mut all = world.engine.subscribe(EventFilter::default(), None).await.unwrap();
    let only = EventFilter { of_types: OfTypes::Wanted, ..EventFilter::default() };
    let mut only = world.engine.subscribe(only, None).await.unwrap();
    let tenant = EventFilter { tenant: Some("x".into()), ..EventFilter::default() };
    let mut tenant = world.engine.subscribe(tenant, None).await.unwrap();
    crash(&world, "a").await;
    crash(&world, "a").await;
    crash(&world, "b").await;
    assert_eq!(crashing(&world).await, Vec::<String>::new());
    crash(&world, "a").await;
    crash(&world, "a").await;
    let (words, cursors) = told_until(&mut all, 5).await;
    assert_eq!(words, ["failed", "failed", "failed", "crashing a 3", "failed", "failed"]);
    assert_eq!(next(&mut only).await, ["crashing a 3"]);
    assert!(tokio::time::timeout(Duration::from_secs(9), tenant.next()).await.is_err());
    assert_eq!(crashing(&world).await, ["a"]);
    let metrics = world.engine.metrics().await;
    assert!(metrics.contains("tasklane_crash_loops_total{type=\"a\"} 4\n"), "{metrics}");
    // Whoever goes on from between the two hears it again; behind the task, or where only that was wanted, no more.
    let again = |at: Cursor| world.engine.subscribe(EventFilter::default(), Some(at));
    assert_eq!(told_until(&mut again(cursors[3]).await.unwrap(), 2).await.0, ["crashing a 3", "failed", "failed"]);
    assert_eq!(told_until(&mut again(cursors[4]).await.unwrap(), 1).await.0, ["failed"]);
    let mut behind = world
        .engine
        .subscribe(EventFilter { of_types: OfTypes::Wanted, ..EventFilter::default() }, Some(only.cursor()))
        .await
        .unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(9), behind.next()).await.is_err());
    // Long after, who reads from the beginning is told the same, and the type counts as mended.
    tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
    assert_eq!(crashing(&world).await, Vec::<String>::new());
    for world in [&world, &world.again()] {
        let mut old = world.engine.subscribe(EventFilter::default(), Some(Cursor::default())).await.unwrap();
        assert_eq!(told_until(&mut old, 5).await.0, words);
    }
}

#[tokio::test(start_paused = true)]
async fn every_server_of_a_store_tells_the_same_of_a_type() {
    let ([one, other], _bus) = World::several();
    let mut streams = Vec::new();
    for world in [&one, &other] {
        streams.push(world.engine.subscribe(EventFilter::default(), None).await.unwrap());
    }
    for world in [&one, &other, &one] {
        crash(world, "a").await;
    }
    let mut told = Vec::new();
    for stream in &mut streams {
        told.push(told_until(stream, 3).await);
    }
    assert_eq!(told[0].0, ["failed", "failed", "crashing a 3", "failed"]);
    assert_eq!(told[0], told[1]);
    assert_eq!((crashing(&one).await, crashing(&other).await), (vec!["a".to_owned()], vec!["a".to_owned()]));
}
