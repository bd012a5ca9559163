//! Workers: what they ask for, what handlers get, and what is reported.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tasklane_client::worker::Drained;
use tasklane_client::{Error, HandlerError, TaskContext};
use tasklane_core::lease::{LeaseKey, Token};
use tasklane_wire::{lease, read};
use tokio::sync::watch;

use crate::stub::{Seen, Stub, answer, id};

/// A leased task as a server answers it.
fn leased(n: usize, task_type: &str, payload: &Value) -> Value {
    let key = LeaseKey { id: read::task_id(&id(n)).unwrap(), attempt: 1, token: Token(7) };
    json!({"id": id(n), "type": task_type, "queue": "texts", "payload": payload, "attempt": 1, "lease": &*lease::encode(&key),
        "labels": {"lang": "en"}, "tenant": "acme"})
}

/// Hands out `tasks` once, then nothing; gathers the outcomes by task.
struct Shop {
    tasks: Mutex<Vec<Value>>,
    outcomes: watch::Sender<Vec<(String, Value)>>,
}

impl Shop {
    fn with(tasks: Vec<Value>) -> Arc<Self> {
        Arc::new(Self { tasks: Mutex::new(tasks), outcomes: watch::Sender::default() })
    }

    async fn answer(self: Arc<Self>, seen: Seen) -> Response {
        if seen.is("POST /v1/leases") {
            let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
            if tasks.is_empty() {
                std::future::pending::<()>().await;
            }
            return answer(200, &json!({"tasks": tasks, "cancel": []}));
        }
        let report = seen.json();
        for verb in ["succeed", "fail", "release", "snooze", "cancelled"] {
            for item in report[verb].as_array().into_iter().flatten() {
                self.outcomes.send_modify(|it| it.push((verb.into(), item.clone())));
            }
        }
        answer(200, &json!({"lost": [], "cancel": [], "tasks": []}))
    }

    async fn reported(&self, count: usize) -> Vec<(String, Value)> {
        let mut outcomes = self.outcomes.subscribe();
        let mut all = outcomes.wait_for(|it| it.len() >= count).await.unwrap().clone();
        all.sort_by_key(|it| it.1["id"].as_str().unwrap().to_owned());
        all
    }
}

async fn measure(context: TaskContext, text: String) -> Result<usize, HandlerError> {
    assert_eq!((context.queue(), context.tenant(), context.attempt()), ("texts", "acme", 1));
    assert_eq!(context.labels().get("lang").map(|it| &**it), Some("en"));
    match &*text {
        "never" => Err(HandlerError::permanent("never").details(&json!({"line": 3}))),
        "later" => Err(HandlerError::retry_in(Duration::from_secs(90), "later")),
        "snooze" => Err(HandlerError::snooze(Duration::from_secs(5))),
        "number" => Ok(text.parse::<usize>()?),
        _ => Ok(text.len()),
    }
}

#[tokio::test]
async fn what_handlers_return_is_what_is_reported() {
    let texts =
        [json!("four"), json!(["no", "text"]), json!("never"), json!("later"), json!("snooze"), json!("number")];
    let tasks = texts.iter().enumerate().map(|(n, text)| leased(n, "text.measure", text)).collect();
    let shop = Shop::with(tasks);
    let serving = Arc::clone(&shop);
    let stub = Stub::start(move |seen| Arc::clone(&serving).answer(seen)).await;
    let worker = stub.client().worker().handle("text.measure", measure).queue("texts").name("w").slots(10);
    let outcomes = Arc::clone(&shop);
    let drained = worker.run_until(async move { drop(outcomes.reported(6).await) }).await.unwrap();
    assert_eq!(drained, Drained { stopped: 0, unreported: 0 });

    let said: Vec<_> = shop.reported(6).await.into_iter().map(|(verb, item)| (verb, shown(item))).collect();
    let (unfit, number) = (said[1].1["message"].as_str().unwrap(), said[5].1["message"].as_str().unwrap());
    assert!(unfit.starts_with("the payload is not what the handler takes: invalid type"), "{unfit}");
    assert_eq!((&said[1].1["kind"], &said[1].1["retryable"]), (&json!("permanent"), &json!(false)));
    assert_eq!(number, "invalid digit found in string");
    assert_eq!((&said[5].1["kind"], &said[5].1["retryable"]), (&json!("error"), &json!(true)));
    assert_eq!(said[0], ("succeed".into(), json!({"result": 4})));
    let never = json!({"kind": "permanent", "message": "never", "details": {"line": 3}, "retryable": false});
    assert_eq!(said[2], ("fail".into(), never));
    let later = json!({"kind": "error", "message": "later", "retryable": true, "retry_after": "1m30s"});
    assert_eq!(said[3], ("fail".into(), later));
    assert_eq!(said[4], ("snooze".into(), json!({"for": "5s"})));

    let wish = stub.seen().into_iter().find(|it| it.is("POST /v1/leases")).unwrap().json();
    assert_eq!(wish["lanes"], json!([{"queue": "texts", "types": ["text.measure"]}]));
    assert_eq!((&wish["worker"], &wish["limit"], &wish["lease"]), (&json!("w"), &json!(10), &json!("30s")));
    // The first does not wait, to learn whether somebody is there.
    assert_eq!(wish["wait"], json!("0s"));
}

#[tokio::test]
async fn the_name_of_a_checkpoint_is_checked_where_it_is_given() {
    let shop = Shop::with(vec![leased(1, "put", &json!(null))]);
    let serving = Arc::clone(&shop);
    let stub = Stub::start(move |seen| Arc::clone(&serving).answer(seen)).await;
    let put = |context: TaskContext, (): ()| async move {
        let long = "x".repeat(201);
        let refused = ["", "a\nb", &long].map(|name| context.checkpoint(name, &1).is_err());
        context.checkpoint("good", &1)?;
        Ok::<_, HandlerError>(refused)
    };
    let (worker, outcomes) = (stub.client().worker().handle("put", put).queue("texts"), Arc::clone(&shop));
    worker.run_until(async move { drop(outcomes.reported(1).await) }).await.unwrap();
    assert_eq!(shop.reported(1).await[0].1["result"], json!([true, true, true]));
}

fn shown(mut item: Value) -> Value {
    let members = item.as_object_mut().unwrap();
    assert!(members.remove("id").is_some() && members.remove("lease").is_some());
    item
}

#[tokio::test]
async fn a_wish_whose_answer_was_not_heard_is_made_again_under_its_name() {
    let wishes: Arc<watch::Sender<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&wishes);
    let stub = Stub::start(move |seen: Seen| {
        let noted = Arc::clone(&noted);
        async move {
            noted.send_modify(|it| it.push(seen.json()["request"].as_str().unwrap().to_owned()));
            match noted.borrow().len() {
                1 => answer(500, &json!({})),
                2 => answer(200, &json!({"tasks": [], "cancel": []})),
                _ => answer(204, &Value::Null),
            }
        }
    })
    .await;
    let mut heard = wishes.subscribe();
    let worker = stub.client().worker().handle("t", |_, (): ()| async { Ok(()) });
    worker.run_until(async { drop(heard.wait_for(|it| it.len() >= 3).await) }).await.unwrap();
    let names = wishes.borrow().clone();
    assert_eq!(names[0], names[1], "the first answer was lost");
    assert_ne!(names[1], names[2], "the second was heard");
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_gives_back_what_it_cannot_finish() {
    let shop = Shop::with(vec![leased(1, "slow", &Value::Null)]);
    let serving = Arc::clone(&shop);
    let stub = Stub::start(move |seen| Arc::clone(&serving).answer(seen)).await;
    let (started, mut running) = watch::channel(false);
    let slow = move |context: TaskContext, (): ()| {
        started.send_replace(true);
        async move {
            context.cancelled().await;
            Err::<(), _>(HandlerError::cancelled())
        }
    };
    let worker = stub.client().worker().handle("slow", slow).grace(Duration::ZERO);
    let drained = worker.run_until(async { drop(running.wait_for(|it| *it).await) }).await.unwrap();
    assert_eq!(drained, Drained { stopped: 1, unreported: 0 });
    assert_eq!(shop.reported(1).await[0].0, "release");
}

#[tokio::test]
async fn a_worker_without_handlers_is_a_mistake() {
    let stub = Stub::start(|_| std::future::pending()).await;
    let ended = stub.client().worker().run_until(std::future::pending()).await;
    assert!(matches!(ended, Err(Error::Invalid(_))), "{ended:?}");
}
