//! Following a task: what its handler says and puts aside arrives, in order and once, though the server dies meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_client::{Client, Event, HandlerError, Level, NewTask, Retry, State, TaskContext};
use tasklane_testkit::story::story;
use tasklane_testkit::{ServerOptions, Signal};
use tokio::sync::Notify;

/// The first attempt puts aside how far it came and fails; the second goes on from there once it may.
async fn talk(context: TaskContext, gate: Arc<Notify>) -> Result<u32, HandlerError> {
    let row: u32 = context.restored("row")?.unwrap_or_default();
    context.log(Level::Info, format!("from row {row}"), &json!({ "row": row }));
    if row == 0 {
        context.checkpoint("row", &500)?;
        return Err(HandlerError::retryable("the power went"));
    }
    gate.notified().await;
    context.log(Level::Warn, "last words", &());
    Ok(row)
}

#[test]
fn a_task_is_followed_over_the_death_of_the_server() {
    story("follow::killed", || {
        let mut server = ServerOptions::without_executors().start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::builder().url(server.url()).build().unwrap();
            let gate = Arc::new(Notify::new());
            let handle = {
                let gate = Arc::clone(&gate);
                move |context, (): ()| talk(context, Arc::clone(&gate))
            };
            let retry = Retry::Delays { delays: vec![Duration::from_millis(100)], jitter: false };
            let mut all = client.all_events(&[("type", "talk"), ("state", "running,succeeded")]);
            let id = client.submit(NewTask::new("talk", &()).retry(retry)).await.unwrap().id;
            let (mut events, mut told) = (client.events(id), Vec::new());
            let first = events.next().await.unwrap();
            assert!(matches!(&first, Some(Event::Moved(it)) if it.to == State::Queued), "{first:?}");
            let working = tokio::spawn(client.worker().handle("talk", handle).run_until(std::future::pending()));
            while let Some(event) = events.next().await.unwrap() {
                match event {
                    Event::Moved(it) => told.push(format!("{} {}", it.to, it.attempt)),
                    Event::Log(line) => {
                        // What it says shows that its worker has it; before that, the answer to its lease could be lost.
                        if line.attempt == 2 && line.n == 0 {
                            server.kill();
                            server.start();
                            gate.notify_one();
                        }
                        told.push(format!("{} {}: {}", line.attempt, line.n, line.message));
                    }
                    other => panic!("{other:?}"),
                }
            }
            let attempt_1 = ["running 1", "1 0: from row 0", "retrying 1", "queued 1", "running 2"];
            let attempt_2 = ["2 0: from row 500", "2 1: last words", "succeeded 2"];
            assert_eq!(told, [&attempt_1[..], &attempt_2[..]].concat());
            let lines = client.logs(id).await.unwrap();
            assert_eq!(lines.iter().map(|it| (it.attempt, it.n)).collect::<Vec<_>>(), [(1, 0), (2, 0), (2, 1)]);
            assert_eq!(lines[1].fields.as_ref().unwrap().get(), r#"{"row":500}"#);
            let mut followed = client.follow_logs(id);
            while let Some(line) = followed.next().await.unwrap() {
                assert!(line.attempt > 0);
            }
            working.abort();
            drop(all.next());
        });
    });
}

#[test]
fn a_stop_ends_streams_and_does_not_wait_for_them() {
    story("follow::stop", || {
        let mut server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let address = server.address();
        let reading: Vec<_> = ["/v1/events".to_owned(), format!("/v1/tasks/{id}/events")]
            .into_iter()
            .map(|path| {
                let mut connection = tasklane_testkit::http::Connection::open(address).unwrap();
                std::thread::spawn(move || connection.call("GET", &path, &[], b""))
            })
            .collect();
        tasklane_testkit::process::until("both streams to be open", Duration::from_secs(10), || {
            server.get("/metrics").text().contains("tasklane_streams 2").then_some(())
        });
        let asked = Instant::now();
        server.signal(Signal::Term);
        assert_eq!(server.wait_end().code(), Some(0), "{}", server.log());
        assert!(!server.log().contains("cutting connections"), "{}", server.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        let replies: Vec<_> = reading.into_iter().map(|it| it.join().unwrap().expect("a whole answer")).collect();
        assert!(replies[1].text().contains("event: task.queued"), "{}", replies[1].text());
    });
}
