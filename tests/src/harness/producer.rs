//! Who submits: one task or a batch, each with an idempotency key, again and again until it is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::Reply;
use tasklane_testkit::http::Connection;

use super::fleet::{EFFECT, Fleet, REPORTED};

const BATCH: usize = 20;
/// Between two tries of what was not answered.
const PAUSE: Duration = Duration::from_millis(20);

/// A caller who goes on with the next server where one does not answer, until the story is over.
pub struct Caller<'a> {
    /// Whom it calls.
    pub fleet: &'a Fleet,
    /// The story is over.
    pub over: &'a AtomicBool,
    /// The server that it calls now.
    pub server: usize,
    connection: Option<Connection>,
}

impl<'a> Caller<'a> {
    /// One that begins with that server.
    pub fn new(fleet: &'a Fleet, over: &'a AtomicBool, server: usize) -> Self {
        Self { fleet, over, server: server % fleet.servers.len(), connection: None }
    }

    /// Calls until it is answered by anything but a failure of the server; `None` when the story is over first.
    pub fn insist(&mut self, path: &str, body: &Value) -> Option<Reply> {
        while !self.over.load(Ordering::Relaxed) {
            match self.once(path, body) {
                Some(reply) if reply.status < 500 => return Some(reply),
                Some(reply) => {
                    let after = reply.header("retry-after").unwrap_or("none");
                    self.fleet.refusals.write(&format!("refused {} {after} {path}", reply.status));
                }
                None => {}
            }
            self.server = (self.server + 1) % self.fleet.servers.len();
            self.connection = None;
            thread::sleep(PAUSE);
        }
        None
    }

    fn once(&mut self, path: &str, body: &Value) -> Option<Reply> {
        if self.connection.is_none() {
            self.connection = self.fleet.connect(self.server);
        }
        self.connection.as_mut()?.json("POST", path, body).ok()
    }
}

/// Submits until it is over. What was answered 2xx goes into the ledger: `acked ID KEY`.
pub fn produce(mut caller: Caller<'_>, producer: usize, pace: Duration) {
    for nth in 0_u64.. {
        let keys: Vec<_> =
            (0..if producer == 0 { BATCH } else { 1 }).map(|it| format!("{producer}-{nth}-{it}")).collect();
        let tasks: Vec<_> = keys.iter().enumerate().map(|(place, key)| task(key, nth as usize + place)).collect();
        let answer = if let [task] = &tasks[..] {
            caller.insist("/v1/tasks", task)
        } else {
            caller.insist("/v1/tasks:batch", &json!(tasks))
        };
        let Some(answer) = answer else { return };
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.text());
        let answer = answer.json();
        let ids = answer["tasks"].as_array().cloned().unwrap_or_else(|| vec![answer]);
        for (key, task) in keys.iter().zip(ids) {
            caller.fleet.ledger.write(&format!("acked {} {key}", task["id"].as_str().unwrap()));
        }
        if caller.over.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(pace);
    }
}

/// Crashes count, so it may have more of them than a story has strikes. Some pass a gate that lets two of them through.
pub fn task(key: &str, nth: usize) -> Value {
    let kind = if nth.is_multiple_of(2) { EFFECT } else { REPORTED };
    let mut task = json!({ "type": kind, "payload": { "key": key }, "max_attempts": 1000, "idempotency_key": key });
    if nth.is_multiple_of(5) {
        task["limits"] = json!([{ "key": format!("gate-{}", nth % 4), "max_running": 2 }]);
    }
    task
}
