//! Who may call: keys on real servers. What is a secret stands nowhere (T39).
//!
//! Seen red: with a log that shows the headers of a request, with a ring of keys that is not looked at again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::ground::on;
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Connection, Reply, Server, ServerOptions, binary, postgres};

const ADMIN: &str = "canary-of-an-operator-0123456789abcdef";
/// Longer than the second that is promised: a busy machine may stall.
const SOON: Duration = Duration::from_secs(5);

fn call(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.connect().call(method, path, &headers, body.as_bytes()).unwrap()
}

fn make(server: &Server, with: &str, new: &Value) -> (String, String) {
    let made = call(server, with, "POST", "/v1/keys", new).expect(201).json();
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

#[test]
fn a_key_that_is_revoked_at_one_server_ends_at_the_other() {
    story("who_may::two_servers", || {
        let database = postgres::shared().scratch("who_may");
        let [a, b] = [0, 1].map(|_| on(database.url()).with_env("TASKLANE_ADMIN_KEY", ADMIN).start());
        let (id, key) = make(&a, ADMIN, &json!({ "name": "k", "scopes": ["read"] }));
        until("the other server to know the key", PATIENCE, || {
            (call(&b, &key, "GET", "/v1/tasks", &Value::Null).status == 200).then_some(())
        });
        let mut stream = Connection::open(b.address()).unwrap();
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
        stream.send(head.as_bytes()).unwrap();
        // It has begun.
        assert_eq!(stream.socket().peek(&mut [0]).unwrap(), 1);
        let revoked = Instant::now();
        call(&a, ADMIN, "POST", &format!("/v1/keys/{id}:revoke"), &Value::Null).expect(200);
        call(&a, &key, "GET", "/v1/tasks", &Value::Null).problem(401, "unauthorized");
        // The body of the stream ends, so the whole answer is there.
        let events = stream.receive().unwrap().expect(200);
        assert!(revoked.elapsed() < SOON, "{:?}: {}", revoked.elapsed(), events.text());
        until("the other server to refuse it", PATIENCE, || {
            matches!(call(&b, &key, "GET", "/v1/tasks", &Value::Null).status, 401 | 429).then_some(())
        });
    });
}

#[test]
fn an_address_that_others_reach_needs_a_key() {
    story("who_may::addresses", || {
        let everywhere =
            || ServerOptions { listen: Some(std::net::Ipv4Addr::UNSPECIFIED), ..ServerOptions::without_executors() };
        let server = everywhere().with_env("TASKLANE_ADMIN_KEY", ADMIN).start();
        server.get("/v1/tasks").problem(401, "unauthorized");
        make(&server, ADMIN, &json!({ "name": "master", "scopes": ["admin"] }));
        let data = server.data_dir().to_owned();
        let dir = tempfile::tempdir().unwrap();
        copy(&data, dir.path(), server);
        // A key that is stored is enough from then on.
        let server = everywhere().in_dir(dir.path()).start();
        server.get("/v1/tasks").problem(401, "unauthorized");
        let open = ServerOptions::without_executors().for_anybody().start();
        assert!(open.log().contains("INSECURE"), "{}", open.log());
        open.get("/v1/tasks").expect(200);
    });
}

/// Ends a server and copies its data.
fn copy(from: &Path, to: &Path, mut server: Server) {
    assert_eq!(server.stop().code(), Some(0));
    for file in fs::read_dir(from).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_file()) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_secret_stands_nowhere() {
    story("who_may::secrets", || {
        let options = ServerOptions::without_executors().with_env("TASKLANE_LOG", "debug");
        let mut server = options.with_env("TASKLANE_ADMIN_KEY", ADMIN).start();
        let (id, key) = make(&server, ADMIN, &json!({ "name": "k", "scopes": ["submit", "read"] }));
        let rotated = call(&server, ADMIN, "POST", &format!("/v1/keys/{id}:rotate"), &json!({})).expect(200).json();
        let rotated = rotated["key"].as_str().unwrap().to_owned();
        let wrong = "canary-of-somebody-who-guesses";
        call(&server, wrong, "GET", "/v1/tasks", &Value::Null).problem(401, "unauthorized");
        let lost = format!("{key}0");
        call(&server, &lost, "GET", "/v1/tasks", &Value::Null).problem(401, "unauthorized");
        call(&server, &key, "POST", "/v1/tasks", &json!({ "type": "demo", "nonsense": 1 })).problem(422, "invalid");
        call(&server, &rotated, "POST", "/v1/tasks", &json!({ "type": "demo" })).expect(201);
        let shown: String = ["/v1/keys", "/v1/tasks", "/metrics", "/v1/stats", "/ready", "/health", "/openapi.json"]
            .iter()
            .map(|path| call(&server, ADMIN, "GET", path, &Value::Null).expect(200).text())
            .collect();
        let process = Path::new("/proc").join(server.pid().to_string());
        let arguments = fs::read(process.join("cmdline")).unwrap();
        let mut check = Command::new(binary::tasklane());
        let checked = clean(check.args(["config", "check"])).env("TASKLANE_ADMIN_KEY", ADMIN).output().unwrap();
        assert_eq!(server.stop().code(), Some(0));
        let secrets = [ADMIN, &key, &rotated, wrong, &lost];
        let mut places = vec![
            ("answers".into(), shown.into_bytes()),
            ("arguments".into(), arguments),
            ("the log".into(), server.log().into_bytes()),
            ("config check".into(), [checked.stdout, checked.stderr].concat()),
        ];
        assert!(server.log().contains("answered"), "nothing was logged that could have shown it");
        places.extend(files(server.dir()).into_iter().map(|it| (it.display().to_string(), fs::read(it).unwrap())));
        for (place, bytes) in places {
            for secret in secrets {
                let parts = [secret, &secret[secret.len().saturating_sub(40)..]];
                for part in parts {
                    let is_there = bytes.windows(part.len()).any(|it| it == part.as_bytes());
                    assert!(!is_there, "{place} holds a secret");
                }
            }
        }
    });
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    all.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

#[test]
fn who_guesses_is_slowed_down() {
    story("who_may::guesses", || {
        let server = ServerOptions::without_executors().with_env("TASKLANE_ADMIN_KEY", ADMIN).start();
        let mut connection = server.connect();
        let mut answers = std::collections::BTreeMap::new();
        for nth in 0..10_000 {
            let key = format!("guess-{nth}");
            let reply = connection.call("GET", "/v1/tasks", &[("X-API-Key", &key)], b"").unwrap();
            *answers.entry(reply.status).or_insert(0) += 1;
        }
        // A minute may have passed meanwhile.
        assert!(answers[&401] <= 20 && answers[&429] >= 9_980, "{answers:?}");
        let last = connection.call("GET", "/v1/tasks", &[("X-API-Key", "guess")], b"").unwrap();
        assert!(last.header("retry-after").is_some());
        last.problem(429, "too_many_bad_keys");
        // Whoever else is behind this address is not held up.
        call(&server, ADMIN, "GET", "/v1/tasks", &Value::Null).expect(200);
    });
}

#[test]
fn keys_are_made_by_the_command_line() {
    story("who_may::command_line", || {
        let server = ServerOptions::without_executors().start();
        let tasklane = |key: &str, arguments: &[&str]| {
            let mut command = Command::new(binary::tasklane());
            clean(command.args(arguments)).env("TASKLANE_URL", server.url());
            if !key.is_empty() {
                command.env("TASKLANE_API_KEY", key);
            }
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(
            tasklane("", &["key", "create", "shop", "--scope", "submit"]).0,
            Some(7),
            "the first one must be an admin's"
        );
        let (code, master, _) = tasklane("", &["key", "create", "master", "--scope", "admin"]);
        assert_eq!((code, master.trim().len()), (Some(0), 100));
        let master = master.trim();
        let (code, _, said) = tasklane("", &["ls"]);
        assert!(code == Some(4) && said.contains("TASKLANE_API_KEY"), "{code:?} {said}");
        let (_, shop, _) = tasklane(master, &["key", "create", "shop", "--scope", "submit", "--tenant", "acme"]);
        let (code, id, _) = tasklane(shop.trim(), &["submit", "demo"]);
        assert_eq!((code, id.trim().len()), (Some(0), 36));
        assert_eq!(tasklane(shop.trim(), &["ls"]).0, Some(4));
        let (_, list, _) = tasklane(master, &["key", "ls"]);
        assert!(list.contains("shop") && list.contains("acme") && !list.contains(shop.trim()), "{list}");
        let (_, rotated, said) = tasklane(master, &["key", "rotate", "shop", "--overlap", "1h"]);
        assert!(rotated.starts_with("tl_") && said.contains("the one before"), "{said}");
        assert_eq!(tasklane(master, &["key", "revoke", "shop"]).0, Some(0));
        assert_eq!(tasklane(rotated.trim(), &["submit", "demo"]).0, Some(4));
        assert_eq!(tasklane(master, &["key", "revoke", "master"]).0, Some(7), "nobody could make another one");
        assert_eq!(tasklane(master, &["key", "rm", "shop"]).0, Some(0));
    });
}
