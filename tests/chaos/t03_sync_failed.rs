//! T03: a sync fails. Nobody is told that unsynced work is safe; the server writes nothing more, refuses with 503, and ends with
//! exit code 74. Started again it has all that was acknowledged.
//!
//! Seen red: a writer that goes on after a failed sync acknowledges further tasks and does not end.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::need::can;
use tasklane_stories::harness::run::{Form, Run, chaos};
use tasklane_stories::harness::trace::Trace;
use tasklane_testkit::{Server, ServerOptions};

const NAME: &str = "t03_sync_failed::sqlite";
/// How long callers are told before the process ends, and some.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn sqlite() {
    if !can(NAME, "tracing another process with strace", "strace", &["-e", "trace=none", "true"]) {
        return;
    }
    chaos(NAME, Store::Sqlite, |run| {
        let nth: Vec<u32> = match run.form {
            Form::Short => vec![1, 3, 10],
            Form::Long => (1..=50).collect(),
        };
        run.line.runs = nth.len() as u64;
        nth.into_iter().for_each(|it| fail(run, it));
    });
}

/// The sync of this number fails.
fn fail(run: &mut Run, nth: u32) {
    let mut server = ServerOptions::without_executors().start();
    let trace = Trace::of_syncs(server.pid(), &format!("error=EIO:when={nth}"), server.dir());
    run.line.faults += 1;
    let (acked, refused) = (Mutex::new(Vec::new()), Mutex::new(None));
    thread::scope(|scope| {
        for size in [10, 1000, 300_000] {
            let (server, acked, refused) = (&server, &acked, &refused);
            scope.spawn(move || submit_until_gone(server, size, acked, refused));
        }
    });
    let refused = refused.into_inner().unwrap().expect("somebody was refused");
    assert_eq!(server.wait_end().code(), Some(74), "{}", server.log());
    run.within("ends_ms", refused.elapsed(), ENDS_WITHIN);
    let calls = trace.calls();
    let failed = calls.iter().position(|it| it.contains("EIO")).expect("a sync failed");
    assert_eq!(calls.len(), failed + 1, "something was synced afterwards: {calls:?}");
    assert!(server.log().contains("nothing is written any more"), "{}", server.log());
    drop(trace);

    server.start();
    let acked = acked.into_inner().unwrap();
    for id in &acked {
        run.line.lost += usize::from(server.get(&format!("/v1/tasks/{id}")).status != 200);
    }
    run.line.acked += acked.len();
    assert_eq!(run.line.lost, 0);
    server.submit(&json!({ "type": "again" }));
}

/// Submits one after the other until the server has gone. Once somebody was refused nobody may be acknowledged.
fn submit_until_gone(server: &Server, size: usize, acked: &Mutex<Vec<String>>, refused: &Mutex<Option<Instant>>) {
    let task = json!({ "type": "story", "payload": "x".repeat(size) });
    let Some(mut connection) = server.connect_if_it_listens() else { return };
    loop {
        let was_refused = refused.lock().unwrap().is_some();
        let Ok(reply) = connection.json("POST", "/v1/tasks", &task) else { return };
        match reply.status {
            201 => {
                assert!(!was_refused, "acknowledged after the disk had failed");
                acked.lock().unwrap().push(reply.json()["id"].as_str().unwrap().to_owned());
            }
            503 => {
                reply.problem(503, "store_away");
                refused.lock().unwrap().get_or_insert_with(Instant::now);
                thread::sleep(Duration::from_millis(5));
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
}
