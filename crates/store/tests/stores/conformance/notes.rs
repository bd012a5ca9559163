use std::time::Duration;

use bytes::Bytes;
use tasklane_core::checkpoint::{Checkpoint, Checkpointed};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LeaseKey, Leased, Token};
use tasklane_core::limit;
use tasklane_core::log::{Level, Line, LineId, LogLine};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::{Batch, LogPage, LogQuery, Logged, Sweep};
use tasklane_core::retention::Retention;
use tasklane_core::task::TaskId;

use super::world::{SECOND, World, success};

fn line(n: u64, level: Level, message: &str) -> Line {
    Line { n, level, message: message.into(), fields: Some(r#"{"a":1}"#.into()), after: Duration::from_millis(5) }
}

fn lines(numbers: std::ops::Range<u64>) -> Vec<Line> {
    numbers.map(|n| line(n, Level::Info, &format!("line {n}"))).collect()
}

async fn log(world: &World, key: LeaseKey, lines: Vec<Line>) -> Logged {
    world.commit(Batch { logs: vec![(key, lines)], ..Batch::default() }).await.logs[0]
}

async fn page(world: &World, id: TaskId, query: LogQuery) -> LogPage {
    world.store.logs(id, query).await.unwrap().unwrap()
}

async fn said(world: &World, id: TaskId) -> Vec<LogLine> {
    page(world, id, LogQuery { limit: usize::MAX, ..LogQuery::default() }).await.lines
}

fn numbers(page: &LogPage) -> Vec<(u32, u64)> {
    page.lines.iter().map(|it| (it.id.attempt, it.id.n)).collect()
}

async fn put(world: &World, leased: &Leased, name: &str, data: impl Into<Bytes>) -> Checkpointed {
    let checkpoint = Checkpoint { name: name.into(), data: data.into() };
    world.commit(Batch { checkpoints: vec![(leased.key(), checkpoint)], ..Batch::default() }).await.checkpoints[0]
}

pub async fn lines_are_kept_once_in_order(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    assert_eq!(said(&world, id).await, []);
    world.advance(SECOND);
    assert_eq!(log(&world, leased.key(), lines(0..3)).await, Logged::Held { kept: 3, cut: false });
    assert_eq!(log(&world, leased.key(), lines(1..5)).await, Logged::Held { kept: 2, cut: false });
    assert_eq!(log(&world, leased.key(), lines(0..5)).await, Logged::Held { kept: 0, cut: false });
    let kept = said(&world, id).await;
    assert_eq!(
        kept.iter().map(|it| &*it.message).collect::<Vec<_>>(),
        ["line 0", "line 1", "line 2", "line 3", "line 4"]
    );
    let first = LogLine {
        id: LineId { attempt: 1, n: 0 },
        at: world.store.now().minus(Duration::from_millis(5)),
        level: Level::Info,
        message: "line 0".into(),
        fields: Some(r#"{"a":1}"#.into()),
    };
    assert_eq!(kept[0], first);
    let heard = world.get(id).await.facts.lease.unwrap().heard_at;
    assert_eq!(heard, world.store.now(), "a line is a sign of life");
    assert!(world.store.logs(world.task("t").id, LogQuery::default()).await.unwrap().is_none());
}

pub async fn pages_go_on_where_they_ended(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    for n in 0..4 {
        let level = if n % 2 == 0 { Level::Debug } else { Level::Warn };
        log(&world, leased.key(), (3 * n..3 * n + 3).map(|n| line(n, level, "x")).collect()).await;
    }
    world.report(&leased, Outcome::Released).await;
    let again = world.lease(1).await.remove(0);
    log(&world, again.key(), lines(0..2)).await;
    let mut seen = Vec::new();
    let mut query = LogQuery { limit: 5, ..LogQuery::default() };
    loop {
        let page = page(&world, id, query).await;
        assert!(page.lines.len() <= 5);
        seen.extend(numbers(&page));
        match page.next {
            Some(_) => query.after = page.next,
            None => break,
        }
    }
    let all: Vec<_> = (0..12).map(|n| (1, n)).chain([(2, 0), (2, 1)]).collect();
    assert_eq!(seen, all);
    let grave = LogQuery { level: Level::Warn, ..LogQuery::default() };
    assert_eq!(numbers(&page(&world, id, grave).await), [3, 4, 5, 9, 10, 11].map(|n| (1, n)));
    let second = LogQuery { attempt: Some(2), ..LogQuery::default() };
    assert_eq!(numbers(&page(&world, id, second).await), [(2, 0), (2, 1)]);
    let of_first = LogQuery { attempt: Some(1), after: Some(LineId { attempt: 1, n: 9 }), ..LogQuery::default() };
    assert_eq!(numbers(&page(&world, id, of_first).await), [(1, 10), (1, 11)]);
    assert_eq!(page(&world, id, LogQuery { limit: 14, ..LogQuery::default() }).await.next, None, "all of it fitted");
}

pub async fn only_the_lease_may_speak(world: World) {
    let leased = world.run(world.task("t")).await;
    let key = leased.key();
    for stranger in [LeaseKey { token: Token(key.token.0 ^ 1), ..key }, LeaseKey { attempt: 2, ..key }] {
        assert_eq!(log(&world, stranger, lines(0..1)).await, Logged::Lost);
        let checkpoint = Checkpoint { name: "a".into(), data: "1".into() };
        let batch = Batch { checkpoints: vec![(stranger, checkpoint)], ..Batch::default() };
        assert_eq!(world.commit(batch).await.checkpoints, [Checkpointed::Lost]);
    }
    world.report(&leased, success("1")).await;
    assert_eq!(log(&world, key, lines(0..1)).await, Logged::Lost);
    assert_eq!(put(&world, &leased, "a", "1").await, Checkpointed::Lost);
    assert_eq!(said(&world, leased.facts.id).await, []);
}

pub async fn last_words_come_before_the_settlement(world: World) {
    let leased = world.run(world.task("t")).await;
    let batch = Batch {
        logs: vec![(leased.key(), lines(0..1))],
        settle: vec![world.settlement(&leased, success("1"))],
        ..Batch::default()
    };
    let answers = world.commit(batch).await;
    assert_eq!(answers.logs, [Logged::Held { kept: 1, cut: false }]);
    assert_eq!(said(&world, leased.facts.id).await.len(), 1);
    assert_eq!(world.get(leased.facts.id).await.result.as_deref(), Some(&b"1"[..]));
}

pub async fn an_attempt_logs_so_much(world: World) {
    let leased = world.run(world.task("t")).await;
    let (id, key) = (leased.facts.id, leased.key());
    log(&world, key, lines(0..9_000)).await;
    assert_eq!(log(&world, key, lines(9_000..12_000)).await, Logged::Held { kept: 1001, cut: true });
    assert_eq!(log(&world, key, lines(12_000..12_001)).await, Logged::Held { kept: 0, cut: false });
    let page_one = page(&world, id, LogQuery { limit: 20_000, ..LogQuery::default() }).await;
    let last = page_one.lines.last().unwrap();
    assert_eq!((page_one.lines.len(), last.level), (10_001, Level::Warn));
    assert!(last.message.contains("[cut"), "{}", last.message);
    world.report(&leased, Outcome::Released).await;
    let again = world.lease(1).await.remove(0);
    let long = "x".repeat(limit::LOG_LINE_BYTES);
    let many = (0..70).map(|n| Line { fields: None, ..line(n, Level::Info, &long) }).collect();
    assert_eq!(log(&world, again.key(), many).await, Logged::Held { kept: 65, cut: true });
    let second = page(&world, id, LogQuery { attempt: Some(2), ..LogQuery::default() }).await;
    assert_eq!(second.lines.len(), 64, "a page ends with so many bytes");
    assert_eq!(second.next, Some(LineId { attempt: 2, n: 63 }));
}

pub async fn checkpoints_come_with_the_next_lease(world: World) {
    let first = world.run(world.task("t")).await;
    assert_eq!(first.checkpoints, []);
    assert_eq!(put(&world, &first, "b", r#"{"row":1}"#).await, Checkpointed::Held);
    assert_eq!(put(&world, &first, "a", "[]").await, Checkpointed::Held);
    assert_eq!(put(&world, &first, "b", r#"{"row":2}"#).await, Checkpointed::Held);
    world.report(&first, Outcome::Snoozed(SECOND)).await;
    world.advance(SECOND);
    world.promote(1).await;
    let second = world.lease(1).await.remove(0);
    let checkpoint = |name: &str, data: &'static str| Checkpoint { name: name.into(), data: data.into() };
    assert_eq!(second.checkpoints, [checkpoint("a", "[]"), checkpoint("b", r#"{"row":2}"#)]);
    world.report(&second, Outcome::Released).await;
    assert_eq!(world.lease(1).await.remove(0).checkpoints, second.checkpoints, "they stay");
}

pub async fn a_task_puts_aside_so_much(world: World) {
    let leased = world.run(world.task("t")).await;
    let most = limit::CHECKPOINT_BYTES;
    assert_eq!(put(&world, &leased, "a", vec![b'1'; most - 1]).await, Checkpointed::Held);
    assert_eq!(put(&world, &leased, "b", "1").await, Checkpointed::TooLarge);
    assert_eq!(put(&world, &leased, "a", vec![b'2'; most]).await, Checkpointed::TooLarge);
    world.report(&leased, Outcome::Released).await;
    let kept = world.lease(1).await.remove(0);
    assert_eq!(kept.checkpoints[0].data[0], b'1', "the one that was there stays");
    assert_eq!(put(&world, &kept, "a", "1").await, Checkpointed::Held, "a smaller one takes its place");
    assert_eq!(put(&world, &kept, "ü", "1").await, Checkpointed::Held);
}

pub async fn notes_go_with_their_task(world: World) {
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let leased = world.run(world.task("t")).await;
        log(&world, leased.key(), lines(0..9)).await;
        put(&world, &leased, "a", "1").await;
        world.report(&leased, success("1")).await;
        tasks.push(leased.facts.id);
    }
    world.hand(tasks[0], Hand::Delete).await.unwrap();
    assert!(world.store.logs(tasks[0], LogQuery::default()).await.unwrap().is_none());
    assert_eq!(said(&world, tasks[1]).await.len(), 9);
    world.advance(SECOND);
    let sweep =
        Some(Sweep { retention: Retention { succeeded: SECOND, ..Retention::default() }, limit: 9, disk: None });
    assert_eq!(world.commit(Batch { sweep, ..Batch::default() }).await.sweep, 1);
    assert!(world.store.logs(tasks[1], LogQuery::default()).await.unwrap().is_none());
}
