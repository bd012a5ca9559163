use tasklane_core::accept::{Deadlines, Moment, Start, Submission};
use tasklane_core::error::Refusal;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Scope, Task};
use tasklane_core::time::Timestamp;

use super::world::{SECOND, World, beginning, spec};

pub async fn accepts_in_order(world: World) {
    let tasks: Vec<_> = (0..5).map(|_| world.task("t")).collect();
    let expected: Vec<Task> = tasks.iter().map(|task| task.clone().into_task(beginning())).collect();
    let answers = world.commit(Batch { accept: vec![Submission { tasks }], ..Batch::default() }).await;
    let accepted = answers.accept[0].as_ref().unwrap();
    assert!(accepted.iter().all(|it| it.state == State::Queued && !it.existing));
    let ids: Vec<_> = accepted.iter().map(|it| it.id).collect();
    let stored: Vec<_> = world.store.tasks(ids.clone()).await.unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(stored, expected);
    let seen: Vec<_> = answers.transitions.iter().map(|it| (it.task, it.from, it.to, it.reason, it.at)).collect();
    let told: Vec<_> = ids.iter().map(|id| (*id, None, State::Queued, Reason::Accepted, beginning())).collect();
    assert_eq!(seen, told);
    assert_eq!(answers.transitions, world.events().await);
}

pub async fn a_refused_submission_leaves_no_trace(world: World) {
    let first = world.accept(world.task("t")).await.id;
    let mut stranger = world.task("t");
    stranger.id = first;
    let refused = world.submit(vec![world.task("t"), stranger, world.task("t")]).await.unwrap_err();
    assert_eq!((refused.index, refused.refusal), (1, Refusal::IdTaken { task: first }));
    assert_eq!(world.store.list(Default::default(), None, 10).await.unwrap().tasks.len(), 1);
    assert_eq!(world.events().await.len(), 1);
    assert_eq!(world.lease(10).await.len(), 1);
}

pub async fn delayed_tasks_are_scheduled(world: World) {
    let mut tasks = vec![world.task("t"), world.task("t"), world.task("t")];
    tasks[0].start = Start::After(5 * SECOND);
    tasks[1].start = Start::At(beginning().plus(7 * SECOND));
    tasks[2].start = Start::At(beginning().minus(SECOND));
    let batch = Batch { accept: vec![Submission { tasks }], ..Batch::default() };
    let answers = world.commit(batch).await;
    let states: Vec<_> = answers.accept[0].as_ref().unwrap().iter().map(|it| it.state).collect();
    assert_eq!(states, [State::Scheduled, State::Scheduled, State::Queued]);
    assert_eq!(answers.next_due, Some(5 * SECOND));
    assert_eq!(world.lease(9).await.len(), 1);
}

pub async fn deadlines_count_from_acceptance(world: World) {
    let mut task = world.task("t");
    task.deadlines = Deadlines { start: Some(Moment::After(SECOND)), end: Some(Moment::At(Timestamp::MAX)) };
    task.spec = spec(|spec| drop(spec.labels.insert("k".into(), "v".into())));
    world.advance(3 * SECOND);
    let stored = world.get(world.accept(task).await.id).await;
    let spec = &stored.facts.spec;
    assert_eq!((spec.start_deadline, spec.deadline), (Some(beginning().plus(4 * SECOND)), Some(Timestamp::MAX)));
    assert_eq!(spec.labels.get("k").map(|it| &**it), Some("v"));
}

pub async fn one_bad_submission_touches_no_other(world: World) {
    let first = world.accept(world.task("t")).await.id;
    let mut bad = world.task("t");
    bad.id = first;
    let one = |task| Submission { tasks: vec![task] };
    let accept = vec![one(world.task("a")), one(bad), one(world.task("b"))];
    let answers = world.commit(Batch { accept, ..Batch::default() }).await.accept;
    assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok());
    let mut other = world.task_in("r", "t");
    other.scope = std::sync::Arc::new(Scope { origin: "d".into(), tenant: "x".into() });
    let accepted = world.accept(other.clone()).await;
    assert_eq!(world.get(accepted.id).await.facts.scope, other.scope);
}

pub async fn draining_queues_refuse(world: World) {
    world.accept(world.task("t")).await;
    world.control("q", QueueState::Draining).await;
    let refused = world.submit(vec![world.task("t")]).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::QueueDraining { queue: "q".into() });
    assert_eq!(world.lease(5).await.len(), 1, "what a draining queue has, runs");
}
