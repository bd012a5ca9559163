//! Webhooks: events arrive signed, wherever they come from, and no endpoint that fails holds up another (T30).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tasklane_client::verify_webhook;
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::ground::on;
use tasklane_testkit::process::until;
use tasklane_testkit::receiver::Message;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Manner, Receiver, Server, ServerOptions, binary, postgres};

fn sqlite() -> ServerOptions {
    ServerOptions::without_executors()
}

/// A server that may call this machine.
fn start(options: ServerOptions) -> Server {
    options.with_env("TASKLANE_OUTBOUND_ALLOW", "127.0.0.0/8").start()
}

fn add(server: &Server, webhook: &Value) -> (String, String) {
    let made = server.post("/v1/webhooks", webhook).expect(201).json();
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// Tasks that succeed, one after the other.
fn succeed(server: &Server, count: usize) -> Vec<String> {
    let tasks: Vec<_> = (0..count).map(|n| json!({ "type": "t", "payload": n })).collect();
    server.post("/v1/tasks:batch", &json!(tasks)).expect(201);
    let mut done = Vec::new();
    while done.len() < count {
        let leased = server.lease("w", "t", 100, "30s");
        let succeed: Vec<_> = leased
            .iter()
            .map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": { "n": it["payload"] } }))
            .collect();
        server.report(&json!({ "worker": "w", "succeed": succeed }));
        done.extend(leased.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
    }
    done
}

fn deliveries(server: &Server, webhook: &str) -> Vec<Value> {
    let page = server.get(&format!("/v1/webhooks/{webhook}/deliveries?limit=200")).expect(200).json();
    page["items"].as_array().unwrap().clone()
}

fn webhook(server: &Server, id: &str) -> Value {
    server.get(&format!("/v1/webhooks/{id}")).expect(200).json()
}

fn believed(message: &Message, secret: &str) -> bool {
    verify_webhook(secret, |name| message.header(name), &message.body).is_ok()
}

#[test]
fn what_happens_is_told_signed_and_once_more_when_asked() {
    story("webhooks::signed", || {
        let (server, receiver) = (start(sqlite()), Receiver::start());
        let (id, secret) = add(&server, &json!({ "url": receiver.url("/a"), "headers": { "X-Own": "mine" } }));
        add(
            &server,
            &json!({ "url": receiver.url("/cloud"), "format": "cloudevents", "filter": { "queue": "default" } }),
        );
        add(&server, &json!({ "url": receiver.url("/never"), "filter": { "queue": "other" } }));
        let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let callback = json!({ "url": receiver.url("/back"), "secret": own });
        let task = server.submit(&json!({ "type": "t", "payload": 1, "labels": { "a": "b" }, "callback": callback }));
        let leased = server.lease("w", "t", 1, "30s").remove(0);
        server.report(&json!({ "worker": "w", "succeed": [{ "id": task, "lease": leased["lease"], "result": [7] }] }));

        let told = receiver.wait_for("/a", 1).remove(0);
        assert!(believed(&told, &secret) && !believed(&told, own));
        let body = told.json();
        assert_eq!((&body["type"], &body["data"]["task"]), (&json!("task.succeeded"), &json!(task)));
        assert_eq!((&body["data"]["result"], &body["data"]["labels"]), (&json!([7]), &json!({ "a": "b" })));
        assert_eq!(told.header("x-own").as_deref(), Some("mine"));
        let cloud = receiver.wait_for("/cloud", 1).remove(0);
        assert_eq!(cloud.header("content-type").as_deref(), Some("application/cloudevents+json; charset=utf-8"));
        assert_eq!((&cloud.json()["specversion"], &cloud.json()["data"]), (&json!("1.0"), &body["data"]));
        let back = receiver.wait_for("/back", 1).remove(0);
        assert!(believed(&back, own));
        assert_eq!(back.header("connection").as_deref(), Some("close"), "no socket is kept open for it");
        assert_eq!(back.json()["data"], body["data"]);

        until("the delivery to be noted", PATIENCE, || {
            (deliveries(&server, &id)[0]["state"] == "succeeded").then_some(())
        });
        let delivery = deliveries(&server, &id).remove(0);
        assert_eq!((&delivery["status"], &delivery["answer"]), (&json!(200), &json!("heard")));
        let path = format!("/v1/webhooks/{id}/deliveries/{}:redeliver", delivery["id"].as_str().unwrap());
        let again = server.act(&path).expect(200).json();
        assert_ne!(again["id"], delivery["id"]);
        let twice = receiver.wait_for("/a", 2);
        assert_eq!(twice[1].header("webhook-id"), twice[0].header("webhook-id"), "known to its receiver");
        assert_eq!(twice[1].body, twice[0].body);

        // Two secrets sign while one is changed for another.
        let rotated = server.post(&format!("/v1/webhooks/{id}:rotate-secret"), &json!({})).expect(200).json();
        let newer = rotated["secret"].as_str().unwrap();
        server.act(&format!("/v1/webhooks/{id}:test")).expect(200);
        let both = receiver.wait_for("/a", 3).remove(2);
        assert_eq!(both.json()["type"], "webhook.test");
        assert!(believed(&both, newer) && believed(&both, &secret));
        assert!(receiver.at_path("/never").is_empty());
        let log = server.log();
        assert!(!log.contains("whsec_") && !log.contains(secret.trim_start_matches("whsec_")), "{log}");
        let shown = server.get("/v1/webhooks").expect(200).text() + &server.get("/v1/audit").expect(200).text();
        assert!(
            !shown.contains("whsec_") && !shown.contains("mine") && !server.task(&task).to_string().contains("whsec_")
        );
    });
}

#[test]
fn what_is_forwarded_to_a_machine_is_what_a_server_sends() {
    story("webhooks::listen", || {
        let (server, receiver) = (start(sqlite()), Receiver::start());
        add(&server, &json!({ "url": receiver.url("/sent") }));
        let mut command = Command::new(binary::tasklane());
        clean(&mut command).env("TASKLANE_URL", server.url());
        command.args(["webhook", "listen", "--forward-to", &receiver.url("/forwarded"), "-n", "2"]);
        let listening = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It hears from when it listens on.
        until("it to listen", PATIENCE, || {
            let open = server.get("/metrics").expect(200).text();
            open.lines().any(|it| it == "tasklane_streams 1.0").then_some(())
        });
        succeed(&server, 1);
        let failing = server.submit(&json!({ "type": "t", "max_attempts": 1 }));
        let leased = server.lease("w", "t", 1, "30s").remove(0);
        let fail = json!({ "id": failing, "lease": leased["lease"], "message": "it broke", "kind": "permanent" });
        server.report(&json!({ "worker": "w", "fail": [fail] }));
        let (sent, forwarded) = (receiver.wait_for("/sent", 2), receiver.wait_for("/forwarded", 2));
        let bodies = |all: &[Message]| {
            let mut all: Vec<_> = all.iter().map(Message::json).collect();
            all.sort_by_key(|it| it["type"].to_string());
            all
        };
        assert_eq!(bodies(&sent), bodies(&forwarded));
        let done = listening.wait_with_output().unwrap();
        let (out, notes) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && out.contains("task.failed") && out.contains("200"), "{out}{notes}");
        let secret = notes.split_whitespace().find(|it| it.starts_with("whsec_")).unwrap().to_owned();
        assert!(forwarded.iter().all(|it| believed(it, &secret)));
    });
}

#[test]
fn a_bad_endpoint_delays_no_other() {
    isolated("webhooks::isolated::sqlite", sqlite());
}

#[test]
fn a_bad_endpoint_delays_no_other_on_postgres() {
    let database = postgres::shared().scratch("webhooks");
    isolated("webhooks::isolated::postgres", on(database.url()));
}

/// T30. Seen red: with a gate that stays as wide for an endpoint that fails, with endpoints that share one gate.
fn isolated(name: &str, options: ServerOptions) {
    const TASKS: usize = 60;
    story(name, || {
        let options = options.with_env("TASKLANE_WEBHOOKS_DISABLE_AFTER", "3s");
        let (server, receiver) = (start(options), Receiver::start());
        let (good, _) = add(&server, &json!({ "url": receiver.url("/good") }));
        add(&server, &json!({ "url": receiver.url("/told"), "events": ["webhook.disabled"] }));
        let bad = bad_endpoints(&server, &receiver);
        succeed(&server, TASKS);
        // All of it arrives while others hang: those that do are still on their way then.
        receiver.wait_for("/good", TASKS);
        let running = |id: &str| deliveries(&server, id).iter().filter(|it| it["state"] == "running").count();
        assert!(running(&bad["/hang"]) > 0 && running(&bad["/drip"]) > 0, "they hang");
        assert!(webhook(&server, &good)["failing_since"].is_null());
        // Whatever its body does, 200 is 200.
        receiver.wait_for("/endless", TASKS);
        until("each to be noted", PATIENCE, || {
            deliveries(&server, &bad["/endless"]).iter().all(|it| it["state"] == "succeeded").then_some(())
        });
        until("it to be gone", PATIENCE, || {
            (webhook(&server, &bad["/gone"])["disabled"]["why"] == "gone").then_some(())
        });
        let left: Vec<_> =
            tried(&server, &bad["/gone"], 410).into_iter().filter(|it| it["state"] == "blocked").collect();
        assert!(!left.is_empty(), "what was not tried waits");
        tried(&server, &bad["/moved"], 301);
        assert_eq!(receiver.at_path("/good").len(), TASKS, "nobody followed");
        let told = tried(&server, &bad["/later"], 429).into_iter().filter(|it| it["state"] == "retrying");
        let next = told.map(|it| it["next_at"].as_str().unwrap().to_owned()).min().unwrap();
        let soon = deliveries(&server, &bad["/broken"])
            .iter()
            .filter_map(|it| it["next_at"].as_str().map(str::to_owned))
            .max();
        assert!(Some(next) > soon, "an hour was asked for");
        disabled(&server, &receiver, &bad["/broken"]);
    });
}

/// An endpoint for each way to be bad, by its path.
fn bad_endpoints(server: &Server, receiver: &Receiver) -> BTreeMap<&'static str, String> {
    let bad = [
        ("/hang", Manner::Hang),
        ("/drip", Manner::Drip),
        ("/broken", Manner::Status(500)),
        ("/gone", Manner::Status(410)),
        ("/later", Manner::With(429, "retry-after", "3600".into())),
        ("/moved", Manner::With(301, "location", receiver.url("/good"))),
        ("/reset", Manner::Reset),
        ("/endless", Manner::Endless),
    ];
    let set_up = |(path, manner): (&'static str, Manner)| {
        receiver.answer(path, manner);
        (path, add(server, &json!({ "url": receiver.url(path) })).0)
    };
    bad.into_iter().map(set_up).collect()
}

/// The deliveries to an endpoint, of which each that was tried was answered like this.
fn tried(server: &Server, id: &str, status: u64) -> Vec<Value> {
    let all = deliveries(server, id);
    let tried: Vec<_> = all.iter().filter(|it| it["attempt"] != 0).collect();
    assert!(!tried.is_empty() && tried.iter().all(|it| it["status"] == status || it["state"] == "running"), "{all:?}");
    all
}

/// One that fails gets one at a time, and nothing after days; what waits is kept, and others hear of it.
fn disabled(server: &Server, receiver: &Receiver, failing: &str) {
    let gate = format!("/v1/gates/key:~webhook%2F{failing}");
    let most = || server.get(&gate).expect(200).json()["max_running"].clone();
    assert_eq!(most(), 1);
    until("it to be disabled", PATIENCE, || (webhook(server, failing)["disabled"]["why"] == "failing").then_some(()));
    assert_eq!(most(), 0);
    until("others to hear of it", PATIENCE, || {
        let told = receiver.at_path("/told");
        told.iter().any(|it| it.json()["data"]["webhook"] == *failing).then_some(())
    });
    assert!(deliveries(server, failing).iter().all(|it| it["state"] != "failed"), "nothing was dropped");
    server.act(&format!("/v1/webhooks/{failing}:test")).problem(409, "webhook_disabled");
    receiver.answer("/broken", Manner::Status(204));
    server.act(&format!("/v1/webhooks/{failing}:enable")).expect(200);
    until("what waited to arrive", PATIENCE, || {
        deliveries(server, failing).iter().any(|it| it["status"] == 204).then_some(())
    });
}

#[test]
fn what_failed_is_sent_again_all_at_once() {
    story("webhooks::redelivered", || {
        let (server, receiver) = (start(sqlite()), Receiver::start());
        let (id, _) = add(&server, &json!({ "url": receiver.url("/gone") }));
        receiver.answer("/gone", Manner::Status(410));
        succeed(&server, 1);
        until("it to fail", PATIENCE, || (deliveries(&server, &id)[0]["state"] == "failed").then_some(()));
        receiver.answer("/gone", Manner::Status(200));
        server.act(&format!("/v1/webhooks/{id}:enable")).expect(200);
        let bulk = server.act(&format!("/v1/webhooks/{id}:redeliver")).expect(200).json();
        assert_eq!(server.finished(bulk["id"].as_str().unwrap())["result"]["changed"], 1);
        let [first, again] = <[Message; 2]>::try_from(receiver.wait_for("/gone", 2)).unwrap();
        assert_eq!(first.header("webhook-id"), again.header("webhook-id"));
        // What is removed gets nothing, and what waits for it fails with a word.
        server.act(&format!("/v1/webhooks/{id}:disable")).expect(200);
        assert_eq!(server.connect().call("DELETE", &format!("/v1/webhooks/{id}"), &[], b"").unwrap().status, 200);
        succeed(&server, 1);
        server.get(&format!("/v1/webhooks/{id}")).problem(404, "webhook_not_found");
        assert_eq!(receiver.at_path("/gone").len(), 2);
    });
}

#[test]
fn a_delivery_outlives_its_server() {
    story("webhooks::restart", || {
        let receiver = Receiver::start();
        let mut server = start(sqlite());
        let (id, secret) = add(&server, &json!({ "url": receiver.url("/a") }));
        receiver.answer("/a", Manner::Hang);
        succeed(&server, 3);
        receiver.wait_for("/a", 1);
        server.kill();
        receiver.answer("/a", Manner::Status(200));
        server.start();
        until("all to arrive", PATIENCE, || {
            let all = deliveries(&server, &id);
            (all.len() == 3 && all.iter().all(|it| it["state"] == "succeeded")).then_some(())
        });
        assert!(receiver.at_path("/a").iter().all(|it| believed(it, &secret)));
    });
}
