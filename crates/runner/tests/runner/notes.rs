//! What handlers say and put aside.

use std::time::Duration;

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::mix;
use tasklane_core::log::Level;
use tasklane_core::ports::executor::Context;
use tasklane_core::task::Spec;
use tokio::time::sleep;

use crate::fake::{FakeServer, Script, done, handler, secs, start};

fn say(context: &dyn Context, text: impl Into<String>) {
    context.log(Level::Info, text.into(), None);
}

fn put(context: &dyn Context, name: &str, data: &'static str) {
    context.checkpoint(Checkpoint { name: name.into(), data: data.into() });
}

#[tokio::test(start_paused = true)]
async fn every_line_arrives_once_in_order_before_its_outcome() {
    for seed in 0..20 {
        let latency = Duration::from_millis(mix(seed, 1) % 1500);
        let (lose_request, lose_answer) = (seed % 4 * 10, seed % 3 * 10);
        let server = FakeServer::new(Script { seed, lose_request, lose_answer, latency, impatient: false });
        server.add(0..100, "talk", Spec::default());
        let talk = handler("talk", |task, context| async move {
            let n = task.facts.id.0.as_u128() as u64;
            for line in 0..n % 7 {
                say(&*context, line.to_string());
                if !n.is_multiple_of(3) {
                    sleep(Duration::from_millis(mix(n, line) % 900)).await;
                }
            }
            done()
        });
        let runner = start(&server, talk, 20);
        server.all_done().await;
        let state = server.state();
        for (id, task) in &state.tasks {
            let (key, _, end) = task.accepted.last().unwrap();
            let said = state.logs.get(key).cloned().unwrap_or_default();
            let texts: Vec<_> = said.iter().map(|(_, line)| line.message.clone()).collect();
            let wanted: Vec<_> = (0..id.0.as_u128() as u64 % 7).map(|it| it.to_string()).collect();
            assert_eq!(texts, wanted, "seed {seed}");
            assert!(said.iter().all(|(at, _)| at <= end), "seed {seed}");
        }
        drop(state);
        drop(runner);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_goes_out_within_a_second_and_says_how_old_it_is() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "talk", Spec::default());
    let talk = handler("talk", |_, context| async move {
        say(&*context, "one");
        sleep(Duration::from_millis(400)).await;
        say(&*context, "two");
        context.cancelled().await;
        done()
    });
    let runner = start(&server, talk, 1);
    server.until(|state| state.logs.values().any(|lines| lines.len() == 2)).await;
    let lines: Vec<_> = server.state().logs.values().flatten().cloned().collect();
    let ages: Vec<_> = lines.iter().map(|(_, line)| line.after.as_millis()).collect();
    assert!((1000..1010).contains(&ages[0]) && (600..610).contains(&ages[1]), "{ages:?}");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_goes_out_at_once_and_a_refusal_becomes_a_line() {
    let server = FakeServer::new(Script::default());
    server.state().refuses_checkpoint = Some("bad".into());
    server.add(0..1, "talk", Spec::default());
    let talk = handler("talk", |_, context| async move {
        sleep(secs(3)).await;
        put(&*context, "good", "1");
        put(&*context, "bad", "2");
        context.cancelled().await;
        done()
    });
    let runner = start(&server, talk, 1);
    server.until(|state| !state.checkpoints.is_empty()).await;
    assert_eq!(&*server.state().checkpoints[0].2.name, "good");
    server.until(|state| state.logs.values().flatten().any(|(_, line)| line.message == "bad was not kept")).await;
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_what_is_left() {
    let server = FakeServer::new(Script::default());
    server.add(0..3, "talk", Spec::default());
    let talk = handler("talk", |_, context| async move {
        sleep(secs(2)).await;
        say(&*context, "last words");
        done()
    });
    let runner = start(&server, talk, 3);
    server.until(|state| state.most_leased == 3).await;
    let drained = runner.drain(secs(10)).await;
    assert_eq!((drained.stopped, drained.unreported), (0, 0));
    assert_eq!(server.state().logs.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_many_say_at_once_goes_in_reports_of_bounded_lists() {
    let server = FakeServer::new(Script::default());
    server.add(0..20, "talk", Spec::default());
    let talk = handler("talk", |_, context| async move {
        for line in 0..1_000 {
            say(&*context, line.to_string());
            context.checkpoint(Checkpoint { name: line.to_string().into(), data: "1".into() });
        }
        done()
    });
    let runner = start(&server, talk, 20);
    server.all_done().await;
    let state = server.state();
    assert_eq!(state.logs.values().map(Vec::len).collect::<Vec<_>>(), [1_000; 20]);
    assert_eq!(state.checkpoints.len(), 20_000);
    drop(state);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_refused_note_takes_neither_those_of_others_nor_outcomes_with_it() {
    let server = FakeServer::new(Script { latency: Duration::from_millis(30), ..Script::default() });
    server.state().poison_checkpoint = Some("poison".into());
    server.add(0..300, "talk", Spec::default());
    let talk = handler("talk", |task, context| async move {
        let n = task.facts.id.0.as_u128() as u64;
        say(&*context, "first");
        sleep(secs(2)).await;
        say(&*context, "second");
        put(&*context, if n % 97 == 37 { "poison" } else { "good" }, "1");
        sleep(Duration::from_millis(mix(n, 2) % 2_000 * (n % 2))).await;
        done()
    });
    let runner = start(&server, talk, 100);
    server.all_done().await;
    let state = server.state();
    assert!(state.tasks.values().all(|it| it.attempt == 1));
    let good = state.checkpoints.iter().map(|(_, key, _)| key.id).collect::<std::collections::HashSet<_>>();
    assert_eq!(good.len(), 300 - 3);
    let told = state.logs.iter().filter(|(key, lines)| lines.len() == 2 && good.contains(&key.id));
    assert_eq!(told.count(), 300 - 3);
    drop(state);
    drop(runner);
}
