//! The demonstration types: how long they take, what they answer, what they refuse. Time is tokio's, paused.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tasklane_core::gate::no_keys;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, Progress, Scope, Spec, TaskId};
use tasklane_executors::builtin::Builtin;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

struct Listener {
    percents: Mutex<Vec<f64>>,
    stop: watch::Sender<bool>,
}

impl Context for Listener {
    fn progress(&self, progress: Progress) {
        self.percents.lock().unwrap().push(progress.percent.unwrap());
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let mut stop = self.stop.subscribe();
        Box::pin(async move {
            let _ = stop.wait_for(|it| *it).await;
        })
    }
}

fn listener() -> Arc<Listener> {
    Arc::new(Listener { percents: Mutex::default(), stop: watch::Sender::new(false) })
}

fn task(task_type: &str, payload: &Value) -> Arc<Leased> {
    let facts = Facts {
        id: TaskId(Uuid::from_u128(7)),
        lane: Lane::new("default", task_type),
        scope: Scope::native(),
        spec: Spec::shared(),
        gates: no_keys(),
        state: State::Running,
        attempt: 1,
        spent: 0,
        crashes: 0,
        cancel_requested: false,
        run_at: None,
        started_at: None,
        lease: None,
    };
    Arc::new(Leased {
        facts,
        payload: Bytes::from(payload.to_string()),
        waited: Duration::ZERO,
        checkpoints: Vec::new(),
    })
}

/// How long it took, in milliseconds, and its outcome.
async fn run(task_type: &str, payload: Value) -> (u128, Outcome) {
    let began = Instant::now();
    let outcome = Builtin.run(task(task_type, &payload), listener()).await;
    (began.elapsed().as_millis(), outcome)
}

async fn succeed(task_type: &str, payload: Value) -> (u128, Value) {
    match run(task_type, payload).await {
        (took, Outcome::Succeeded(json)) => (took, serde_json::from_slice(&json).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Takes a member out that is checked apart.
fn take(value: &mut Value, key: &str) -> String {
    value.as_object_mut().unwrap().remove(key).unwrap().as_str().unwrap().to_owned()
}

fn is_eight_digits(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[tokio::test(start_paused = true)]
async fn data_processing() {
    let (took, mut result) = succeed("data_processing", Value::Null).await;
    let file = take(&mut result, "output_file");
    assert!(is_eight_digits(file.strip_prefix("processed_data_").unwrap().strip_suffix(".csv").unwrap()), "{file}");
    assert_eq!((took, result), (10_000, json!({"processed_records": 1000, "processing_time": 10})));
    let (took, mut result) = succeed("data_processing", json!({"processing_time": 0.25, "record_count": 5})).await;
    take(&mut result, "output_file");
    assert_eq!((took, result), (250, json!({"processed_records": 5, "processing_time": 0.25})));
}

#[tokio::test(start_paused = true)]
async fn report_generation() {
    let (took, mut result) = succeed("report_generation", json!({})).await;
    let url = take(&mut result, "report_url");
    let name = url.strip_prefix("https://reports.example.com/").unwrap().strip_suffix(".pdf").unwrap();
    assert!(is_eight_digits(name), "{url}");
    assert_eq!((took, result), (15_000, json!({"report_type": "monthly", "pages": 25, "generation_time": 15})));
    let (took, mut result) =
        succeed("report_generation", json!({"processing_time": 1, "report_type": "daily", "pages": 3})).await;
    take(&mut result, "report_url");
    assert_eq!((took, result), (1000, json!({"report_type": "daily", "pages": 3, "generation_time": 1})));
}

#[tokio::test(start_paused = true)]
async fn video_processing_takes_half_the_length_and_no_word_on_time() {
    let (took, mut result) = succeed("video_processing", json!({"processing_time": 1})).await;
    assert!(take(&mut result, "video_url").starts_with("https://"));
    let expected = json!({"original_length": 60, "processed_length": 60, "processing_time": 30.0, "output_formats": ["mp4", "webm"]});
    assert_eq!((took, result), (30_000, expected));
    assert_eq!(succeed("video_processing", json!({"video_length": 3})).await.0, 1500);
}

#[tokio::test(start_paused = true)]
async fn default() {
    let (took, mut result) = succeed("default", json!({"anything": [1, 2]})).await;
    let timestamp = take(&mut result, "timestamp");
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    assert_eq!((took, result), (5000, json!({"message": "Task completed successfully", "processing_time": 5})));
    assert_eq!(succeed("default", json!({"processing_time": 0})).await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_parameter_is_a_permanent_failure_at_once() {
    let cases = [
        ("default", json!({"processing_time": "5"}), "processing_time must be a number"),
        ("default", json!({"processing_time": true}), "processing_time must be a number"),
        ("default", json!({"processing_time": null}), "processing_time must be a number"),
        ("default", json!({"processing_time": -1}), "processing_time must be from 0 to 86400"),
        ("default", json!({"processing_time": 86_401}), "processing_time must be from 0 to 86400"),
        ("default", json!({"processing_time": 1e300}), "processing_time must be from 0 to 86400"),
        ("video_processing", json!({"video_length": 172_801}), "video_length must be from 0 to 172800"),
        ("data_processing", json!({"record_count": 1.5}), "record_count must be a whole number from 0"),
        ("report_generation", json!({"pages": "3"}), "pages must be a whole number from 0"),
        ("report_generation", json!({"report_type": 3}), "report_type must be a string"),
        ("default", json!([5]), "the payload must be an object of parameters"),
    ];
    for (task_type, payload, message) in cases {
        let (took, outcome) = run(task_type, payload).await;
        assert_eq!((took, outcome), (0, Outcome::failed(FailureKind::Permanent, message)));
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_said_each_half_second() {
    let listener = listener();
    let context = Arc::clone(&listener) as Arc<dyn Context>;
    Builtin.run(task("default", &json!({"processing_time": 1.25})), context).await;
    assert_eq!(*listener.percents.lock().unwrap(), [40.0, 80.0, 100.0]);
}

#[tokio::test(start_paused = true)]
async fn it_stops_as_soon_as_it_is_told_to() {
    let listener = listener();
    let context = Arc::clone(&listener) as Arc<dyn Context>;
    let running = tokio::spawn(Builtin.run(task("default", &json!({"processing_time": 3600})), context));
    tokio::time::sleep(Duration::from_millis(1234)).await;
    let told = Instant::now();
    listener.stop.send_replace(true);
    assert_eq!(running.await.unwrap(), Outcome::Cancelled);
    assert_eq!(told.elapsed(), Duration::ZERO);
}
