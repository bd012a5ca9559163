//! Several engines over one store, on tokio's paused clock, with and without the hints that connect them.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tasklane_core::event::EventFilter;
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::Hint;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::Progress;
use tasklane_engine::{Following, LeaseCall, ReportCall, Said, TaskStream};
use tokio::time::{Instant, sleep, timeout};
use world::{SECOND, World};

const HALF: Duration = Duration::from_millis(500);

fn done() -> Outcome {
    Outcome::Succeeded("1".into())
}

#[tokio::test(start_paused = true)]
async fn work_reaches_a_worker_parked_at_another_server() {
    for (deaf, within) in [(false, Duration::ZERO), (true, SECOND)] {
        let ([a, b], bus) = World::several();
        bus.deaf.store(deaf, Relaxed);
        let parked = b.park(20 * SECOND);
        b.settle_down().await;
        let before = Instant::now();
        let id = a.submit("a").await;
        assert_eq!(parked.await.unwrap().tasks[0].facts.id, id);
        assert!(before.elapsed() <= within, "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_hint_and_one_look_serve_as_many_workers_as_there_is_work_for() {
    for deaf in [false, true] {
        let ([a, b], bus) = World::several();
        let parked: Vec<_> = (0..20).map(|_| b.park(20 * SECOND)).collect();
        b.settle_down().await;
        bus.deaf.store(true, Relaxed);
        for _ in 0..20 {
            a.submit("a").await;
        }
        if !deaf {
            bus.tell_all(&Hint { lanes: vec![a.lane()], ..Hint::default() });
        }
        let before = Instant::now();
        for parked in parked {
            assert_eq!(parked.await.unwrap().tasks.len(), 1);
        }
        assert!(before.elapsed() <= if deaf { SECOND } else { Duration::ZERO }, "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn many_workers_of_the_same_lanes_ask_for_nothing_once_a_second() {
    let ([a], bus) = World::several();
    let parked: Vec<_> = (0..500).map(|_| a.park(60 * SECOND)).collect();
    a.settle_down().await;
    let other = LaneFilter { queue: Some("other".into()), types: TypeFilter::Any };
    let mut call = a.lease_call(60 * SECOND);
    call.wish.lanes = [other].into();
    let engine = a.engine.clone();
    let elsewhere = tokio::spawn(async move { engine.lease(call).await });
    a.settle_down().await;
    let before = bus.asked.load(Relaxed);
    sleep(30 * SECOND).await;
    let asked = bus.asked.load(Relaxed) - before;
    assert!((60..=80).contains(&asked), "{asked} requests in 30 s for two sets of lanes");
    drop((parked, elsewhere));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_looked_for_in_vain_does_not_wait_longer_than_it_wants() {
    let ([a], _bus) = World::several();
    let before = Instant::now();
    assert!(timeout(8 * SECOND, a.lease_one(7 * SECOND)).await.unwrap().is_none());
    assert_eq!(before.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_queue_wakes_who_waits_at_another_server() {
    let ([a, b], _bus) = World::several();
    a.submit("a").await;
    a.engine.control("default", QueueState::Paused).await.unwrap().unwrap();
    let parked = b.park(20 * SECOND);
    b.settle_down().await;
    let before = Instant::now();
    a.engine.control("default", QueueState::Active).await.unwrap().unwrap();
    assert_eq!(parked.await.unwrap().tasks.len(), 1);
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_task_hears_that_another_server_ended_it() {
    for (deaf, within) in [(false, Duration::ZERO), (true, HALF)] {
        let ([a, b], bus) = World::several();
        bus.deaf.store(deaf, Relaxed);
        let id = a.submit("a").await;
        let task = b.lease_one(Duration::ZERO).await.unwrap();
        let engine = a.engine.clone();
        let waiting = tokio::spawn(async move { engine.wait(id, 30 * SECOND).await });
        sleep(3 * SECOND).await;
        let before = Instant::now();
        b.report(&task, done()).await;
        assert_eq!(waiting.await.unwrap().unwrap().unwrap().facts.state, State::Succeeded);
        assert!(before.elapsed() <= within, "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_worker_of_another_server_once() {
    for (deaf, within) in [(false, Duration::ZERO), (true, SECOND)] {
        let ([a, b], bus) = World::several();
        bus.deaf.store(deaf, Relaxed);
        let id = a.submit("a").await;
        a.lease_one(Duration::ZERO).await.unwrap();
        let parked = a.park(30 * SECOND);
        sleep(3 * SECOND).await;
        let before = Instant::now();
        b.engine.hand(id, Hand::Cancel).await.unwrap();
        assert_eq!(parked.await.unwrap().cancel, [id]);
        assert!(before.elapsed() <= within, "{:?}", before.elapsed());
        let again = a.park(5 * SECOND);
        let told = Instant::now();
        assert_eq!(again.await.unwrap().cancel, [id]);
        assert_eq!(told.elapsed(), 5 * SECOND, "what is known is not news");
        let task = b.engine.wait(id, 30 * SECOND).await.unwrap().unwrap();
        assert_eq!(
            (task.facts.state, told.elapsed().as_secs()),
            (State::Cancelled, 10),
            "one grace from the first telling"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_worker_that_went_to_another_server_before_its_next_renewal() {
    for (deaf, asked, within) in
        [(false, 1, Duration::ZERO), (true, 1, Duration::ZERO), (false, 2, Duration::ZERO), (true, 2, SECOND)]
    {
        let (servers, bus) = World::several::<3>();
        let [a, b, _] = &servers;
        bus.deaf.store(deaf, Relaxed);
        let other = a.submit("a").await;
        a.lease_as("other", Duration::ZERO).await.unwrap();
        let id = a.submit("a").await;
        a.lease_one(Duration::ZERO).await.unwrap();
        let parked = b.park(30 * SECOND);
        sleep(3 * SECOND).await;
        let before = Instant::now();
        servers[asked].engine.hand(other, Hand::Cancel).await.unwrap();
        servers[asked].engine.hand(id, Hand::Cancel).await.unwrap();
        assert_eq!(parked.await.unwrap().cancel, [id]);
        assert!(before.elapsed() <= within, "deaf {deaf}, at {asked}: {:?}", before.elapsed());
        let again = b.park(5 * SECOND);
        let told = Instant::now();
        assert_eq!(again.await.unwrap().cancel, [id]);
        assert_eq!(told.elapsed(), 5 * SECOND, "what is known is not news");
        let task = b.engine.wait(id, 30 * SECOND).await.unwrap().unwrap();
        assert_eq!((task.facts.state, told.elapsed().as_secs()), (State::Cancelled, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_asked_for_before_the_worker_came_here_reaches_it_when_it_does() {
    let ([a, b], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    let id = a.submit("a").await;
    a.lease_one(Duration::ZERO).await.unwrap();
    b.engine.hand(id, Hand::Cancel).await.unwrap();
    let somebody = LeaseCall { worker: "somebody".into(), ..b.lease_call(30 * SECOND) };
    let engine = b.engine.clone();
    let somebody = tokio::spawn(async move { engine.lease(somebody).await });
    sleep(3 * SECOND).await;
    let before = Instant::now();
    assert_eq!(b.park(30 * SECOND).await.unwrap().cancel, [id]);
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
    assert!(!somebody.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_worker_whose_seat_is_just_being_looked_for() {
    let ([a], _bus) = World::several();
    let id = a.submit("a").await;
    a.lease_one(Duration::ZERO).await.unwrap();
    a.engine.control("default", QueueState::Paused).await.unwrap();
    let parked = a.park(30 * SECOND);
    a.settle_down().await;
    let before = Instant::now();
    let (_, asked) = tokio::join!(a.submit("a"), a.engine.hand(id, Hand::Cancel));
    asked.unwrap();
    assert_eq!(parked.await.unwrap().cancel, [id]);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_store_takes_no_commits_is_not_ready() {
    let ([a], bus) = World::several();
    bus.read_only.store(true, Relaxed);
    sleep(2 * SECOND).await;
    assert!(a.engine.stats().await.is_ok() && a.engine.ready().await.is_err());
    bus.read_only.store(false, Relaxed);
    sleep(2 * SECOND).await;
    assert!(a.engine.ready().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_report_may_go_to_any_server() {
    let ([a, b, c], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    let id = a.submit("a").await;
    let task = a.lease_one(Duration::ZERO).await.unwrap();
    for _ in 0..4 {
        sleep(20 * SECOND).await;
        assert!(b.renew(&task).await.lost.is_empty());
    }
    assert_eq!((a.running().await, b.running().await), (1.0, 1.0), "it holds, and may come back here");
    b.engine.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!(b.renew(&task).await.cancel, [id]);
    assert!(c.report(&task, Outcome::Cancelled).await.lost.is_empty());
    assert_eq!(b.task(id).await.facts.state, State::Cancelled);
    sleep(32 * SECOND).await;
    assert_eq!((a.running().await, b.running().await), (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn what_another_server_ended_is_forgotten_at_once_where_its_hint_comes() {
    let ([a, b], _bus) = World::several();
    a.submit("a").await;
    let task = a.lease_one(Duration::ZERO).await.unwrap();
    b.report(&task, done()).await;
    a.settle_down().await;
    assert_eq!(a.running().await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_named_request_is_not_answered_with_what_was_reported_elsewhere() {
    let ([a, b], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    a.submit("a").await;
    let mut call = a.lease_call(Duration::ZERO);
    call.wish.request = Some("r1".into());
    let task = a.engine.lease(call.clone()).await.unwrap().tasks.pop().unwrap();
    assert_eq!(a.engine.lease(call.clone()).await.unwrap().tasks[0].key(), task.key());
    b.report(&task, done()).await;
    assert!(a.engine.lease(call).await.unwrap().tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_lost_here_and_leased_again_elsewhere_is_known_by_its_last_attempt() {
    let ([a, b], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    bus.first_is_slow.store(true, Relaxed);
    let id = a.submit("a").await;
    a.lease_one(Duration::ZERO).await.unwrap();
    sleep(29 * SECOND).await;
    let second = loop {
        if let Some(task) = b.lease_as("other", 5 * SECOND).await {
            break task;
        }
    };
    // Its renewals come to the server that held the first attempt.
    let call = ReportCall { worker: "other".into(), renew: vec![second.key()], ..a.report_call(Vec::new()) };
    assert!(a.engine.report(call).await.unwrap().lost.is_empty());
    let call = LeaseCall { worker: "other".into(), ..a.lease_call(20 * SECOND) };
    let engine = a.engine.clone();
    let parked = tokio::spawn(async move { engine.lease(call).await });
    a.settle_down().await;
    b.engine.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!(parked.await.unwrap().unwrap().cancel, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_worker_does_not_catch_what_another_server_rescued_from_it() {
    for deaf in [false, true] {
        let ([a, b], bus) = World::several();
        bus.deaf.store(deaf, Relaxed);
        a.submit("a").await;
        a.lease_one(Duration::ZERO).await.unwrap();
        // The server it leased from is slow to look: the other one rescues.
        bus.first_is_slow.store(true, Relaxed);
        let seats = [a.park(60 * SECOND), a.park(60 * SECOND)];
        sleep(35 * SECOND).await;
        for seat in seats {
            assert!(seat.await.unwrap().tasks.is_empty());
        }
        assert_eq!(b.lease_as("healthy", Duration::ZERO).await.unwrap().facts.attempt, 2);
    }
}

async fn told(stream: &mut TaskStream) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(said) = stream.next().await.unwrap() {
        told.extend(said.iter().map(|said| match said {
            Said::Moved(_, event) => event.to.to_string(),
            Said::Crashing(_, it) => format!("crashing {}", it.task_type),
            Said::Progress(progress) => format!("{:?}", progress.percent.unwrap()),
            Said::Line(_, line) => line.message.to_string(),
            Said::Reset(_) => "reset".into(),
            Said::End(state) => format!("end {state}"),
        }));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_task_s_stream_tells_what_happens_at_another_server() {
    for deaf in [false, true] {
        let ([a, b], bus) = World::several();
        bus.deaf.store(deaf, Relaxed);
        let id = a.submit("a").await;
        let mut stream = a.engine.follow(id, Following::Everything, None).await.unwrap();
        let telling = tokio::spawn(async move { told(&mut stream).await });
        sleep(3 * SECOND).await;
        let task = b.lease_one(Duration::ZERO).await.unwrap();
        sleep(3 * SECOND).await;
        let progress = Progress { percent: Some(50.0), ..Progress::default() };
        let line = Line { n: 0, level: Level::Info, message: "line".into(), fields: None, after: Duration::ZERO };
        let call = ReportCall {
            progress: vec![(task.key(), Some(progress))],
            logs: vec![(task.key(), line)],
            ..b.report_call(Vec::new())
        };
        b.engine.report(call).await.unwrap();
        sleep(3 * SECOND).await;
        let before = Instant::now();
        b.report(&task, done()).await;
        let mut told = telling.await.unwrap();
        assert!(before.elapsed() <= if deaf { SECOND } else { HALF / 10 }, "{:?}", before.elapsed());
        told[2..4].sort();
        assert_eq!(told, ["queued", "running", "50.0", "line", "succeeded"]);
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_followed_and_run_elsewhere_are_read_together() {
    let ([a, b], bus) = World::several();
    let (mut telling, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let id = a.submit("a").await;
        tasks.push(b.lease_one(Duration::ZERO).await.unwrap());
        let mut stream = a.engine.follow(id, Following::Everything, None).await.unwrap();
        telling.push(tokio::spawn(async move { told(&mut stream).await }));
    }
    a.settle_down().await;
    let before = bus.reads.load(Relaxed);
    sleep(20 * SECOND).await;
    let reads = bus.reads.load(Relaxed) - before;
    assert!((18..=30).contains(&reads), "{reads} reads in 20 s for 50 streams");
    for task in &tasks {
        b.report(task, done()).await;
    }
    for telling in telling {
        assert_eq!(telling.await.unwrap(), ["running", "succeeded"]);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_neither_skip_nor_spin_while_older_commits_are_under_way() {
    let ([a], bus) = World::several();
    let id = a.submit("a").await;
    let mut all = a.engine.subscribe(EventFilter::default(), None).await.unwrap();
    let mut one = a.engine.follow(id, Following::Everything, None).await.unwrap();
    let end = a.engine.events(tasklane_core::event::Position(i64::MAX as u64), 0).await.unwrap().next;
    bus.readable.store(end.0, Relaxed);
    let task = a.lease_one(Duration::ZERO).await.unwrap();
    a.report(&task, done()).await;
    assert!(timeout(10 * SECOND, all.next()).await.is_err());
    let telling = tokio::spawn(async move { told(&mut one).await });
    sleep(10 * SECOND).await;
    assert!(!telling.is_finished(), "no cursor leads to what another server cannot read");
    bus.readable.store(u64::MAX, Relaxed);
    let before = Instant::now();
    let mut states = Vec::new();
    while states.len() < 2 {
        for said in all.next().await.unwrap().unwrap() {
            let Said::Moved(_, event) = said else { panic!("{said:?}") };
            states.push(event.to);
        }
    }
    assert_eq!(states, [State::Running, State::Succeeded]);
    assert_eq!(telling.await.unwrap(), ["queued", "running", "succeeded"]);
    assert!(before.elapsed() <= SECOND + HALF / 10, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_on_when_the_store_is_back() {
    let ([a, b], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    let parked = a.park(60 * SECOND);
    let id = b.submit_to("elsewhere", "a").await;
    let engine = a.engine.clone();
    let waiting = tokio::spawn(async move { engine.wait(id, 60 * SECOND).await });
    sleep(SECOND).await;
    bus.away.store(true, Relaxed);
    sleep(20 * SECOND).await;
    assert!(a.engine.ready().await.is_err());
    assert!(!parked.is_finished() && !waiting.is_finished());
    bus.away.store(false, Relaxed);
    let before = Instant::now();
    b.submit("a").await;
    b.engine.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!(parked.await.unwrap().tasks.len(), 1);
    waiting.await.unwrap().unwrap();
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
    assert!(a.engine.ready().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn when_hints_were_lost_everything_is_looked_for() {
    let ([a, b], bus) = World::several();
    bus.deaf.store(true, Relaxed);
    let ended = a.submit_to("elsewhere", "a").await;
    let engine = b.engine.clone();
    let waiting = tokio::spawn(async move { engine.wait(ended, 60 * SECOND).await });
    let cancelled = a.submit("a").await;
    b.lease_one(Duration::ZERO).await.unwrap();
    let told = b.park(60 * SECOND);
    let call = LeaseCall { worker: "other".into(), ..b.lease_call(60 * SECOND) };
    let engine = b.engine.clone();
    let parked = tokio::spawn(async move { engine.lease(call).await });
    b.settle_down().await;
    let before = Instant::now();
    a.engine.hand(cancelled, Hand::Cancel).await.unwrap();
    a.engine.hand(ended, Hand::Cancel).await.unwrap();
    bus.tell_all(&Hint { all: true, ..Hint::default() });
    assert_eq!(told.await.unwrap().cancel, [cancelled]);
    waiting.await.unwrap().unwrap();
    a.submit("a").await;
    bus.tell_all(&Hint { all: true, ..Hint::default() });
    assert_eq!(parked.await.unwrap().unwrap().tasks.len(), 1);
    assert_eq!(before.elapsed(), Duration::ZERO);
}
