//! T37: no URL that a user sets leads into the network of the server, whatever its name resolves to, and whenever.
//!
//! Seen red: with a guard that lets every address through.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::need::can;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;
use tasklane_testkit::{Manner, Receiver, Server, ServerOptions, binary};

/// The one address that the operator allows, in the place of a public one.
const ALLOWED: &str = "127.83.0.7";
/// Where names are asked for.
const RESOLVER: &str = "127.83.0.53";

/// Addresses, for each time they are asked for.
type Answers = Vec<Vec<IpAddr>>;

/// A server of names. What a name leads to is told for each time it is asked for; the last stays.
#[derive(Clone, Default)]
struct Names {
    answers: Arc<Mutex<BTreeMap<String, Answers>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn start() -> Self {
        let (names, socket) = (Self::default(), UdpSocket::bind((RESOLVER, 53)).unwrap());
        let here = names.clone();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if let Some(reply) = here.reply(&packet[..length]) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        names
    }

    fn lead(&self, name: &str, answers: Vec<Vec<&str>>) {
        let read = |all: Vec<&str>| all.into_iter().map(|it| it.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.into_iter().map(read).collect());
    }

    /// RFC 1035, 4: the question again, and an answer of each address of its type. A name is asked for twice each time, for
    /// addresses of either version: the first counts.
    fn reply(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let (mut at, mut labels) = (12, Vec::new());
        while packet[at] != 0 {
            let end = at + 1 + usize::from(packet[at]);
            labels.push(String::from_utf8_lossy(&packet[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        let (name, kind) = (labels.join("."), packet[at + 2]);
        let mut answers = self.answers.lock().unwrap();
        let all = answers.get_mut(&name)?;
        let wanted: Vec<Vec<u8>> = all[0]
            .iter()
            .filter_map(|it| match (it, kind) {
                (IpAddr::V4(it), 1) => Some(it.octets().to_vec()),
                (IpAddr::V6(it), 28) => Some(it.octets().to_vec()),
                _ => None,
            })
            .collect();
        if kind == 1 {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if all.len() > 1 {
                all.remove(0);
            }
        }
        let mut reply = packet[..2].to_vec();
        reply.extend([0x85, 0x80, 0, 1, 0, wanted.len() as u8, 0, 0, 0, 0]);
        reply.extend(&packet[12..at + 5]);
        for address in wanted {
            reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, address.len() as u8]);
            reply.extend(address);
        }
        Some(reply)
    }
}

/// The program, with another file that says where names are asked for.
fn program(dir: &std::path::Path) -> PathBuf {
    let (names, script) = (dir.join("resolv.conf"), dir.join("tasklane"));
    fs::write(&names, format!("nameserver {RESOLVER}\noptions attempts:1 timeout:2\n")).unwrap();
    let (names, tasklane) = (names.display(), binary::tasklane());
    let there = format!("mount --bind {names} /etc/resolv.conf && exec {} \"$@\"", tasklane.display());
    fs::write(&script, format!("#!/bin/sh\nexec unshare --mount sh -c '{there}' sh \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// A scene: a server that may call one address, names, and canaries on the others of this machine.
struct Scene {
    server: Server,
    names: Names,
    receiver: Receiver,
    canaries: [Receiver; 2],
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (names, receiver) = (Names::start(), Receiver::at(&format!("{ALLOWED}:0")));
        let port = receiver.address().port();
        let canaries = ["127.0.0.1", "[::1]"].map(|it| Receiver::at(&format!("{it}:{port}")));
        let options = ServerOptions { program: Some(program(dir.path())), ..ServerOptions::without_executors() };
        let server = options.with_env("TASKLANE_OUTBOUND_ALLOW", ALLOWED).start();
        Self { server, names, receiver, canaries, _dir: dir }
    }

    /// Sends a test event to a name that leads there, whenever it is asked for.
    fn test(&self, host: &str, answers: Vec<Vec<&str>>) -> String {
        self.names.lead(host, answers);
        let url = format!("http://{host}:{}/hook", self.receiver.address().port());
        let made = self.server.post("/v1/webhooks", &json!({ "url": url })).expect(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        self.server.act(&format!("/v1/webhooks/{id}:test")).expect(200);
        id
    }

    /// The last delivery, once it is like this.
    fn until(&self, what: &str, id: &str, is_so: impl Fn(&Value) -> bool) {
        let path = format!("/v1/webhooks/{id}/deliveries");
        until(what, PATIENCE, || is_so(&self.server.get(&path).expect(200).json()["items"][0]).then_some(()));
    }
}

fn is_refused(delivery: &Value) -> bool {
    delivery["error"].as_str().is_some_and(|it| it.contains("not a public address"))
}

#[test]
fn no_url_leads_into_the_network_of_the_server() {
    let name = "webhooks_guarded::urls";
    if !can(name, "mounts of its own", "unshare", &["--mount", "true"]) {
        return;
    }
    story(name, || {
        let scene = Scene::new();
        what_its_text_tells_is_refused(&scene.server);
        for (host, addresses) in [
            ("inside.test", vec!["127.0.0.1"]),
            ("six.test", vec!["::1"]),
            ("mapped.test", vec!["::ffff:127.0.0.1"]),
            ("private.test", vec!["10.1.2.3", "192.168.1.1", "100.64.0.1"]),
            ("metadata.test", vec!["169.254.169.254"]),
        ] {
            let id = scene.test(host, vec![addresses]);
            scene.until("it to be refused", &id, is_refused);
        }
        // Of several the allowed one is called, and of a name that changes its mind what it said first.
        let both = scene.test("both.test", vec![vec!["127.0.0.1", ALLOWED]]);
        scene.until("it to arrive", &both, |it| it["state"] == "succeeded");
        // So that the next call needs a connection of its own.
        scene.receiver.answer("/hook", Manner::With(500, "connection", "close".into()));
        let asked = scene.names.asked.load(Ordering::SeqCst);
        let rebinding = scene.test("rebinding.test", vec![vec![ALLOWED], vec!["127.0.0.1"]]);
        scene.until("the first answer", &rebinding, |it| it["status"] == 500);
        assert_eq!(scene.names.asked.load(Ordering::SeqCst), asked + 1, "it is asked for once a call");
        scene.until("the second to be refused", &rebinding, is_refused);
        // A redirect is no way round.
        let port = scene.receiver.address().port();
        scene.receiver.answer("/hook", Manner::With(302, "location", format!("http://127.0.0.1:{port}/hook")));
        let moving = scene.test("moving.test", vec![vec![ALLOWED]]);
        scene.until("its answer", &moving, |it| it["status"] == 302);
        let came: usize = scene.canaries.iter().map(Receiver::connections).sum();
        assert_eq!(came, 0, "somebody came to an address of the server's own");
    });
}

fn what_its_text_tells_is_refused(server: &Server) {
    for url in [
        "http://127.0.0.1/",
        "http://10.1.2.3/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://user@93.184.216.34/",
        "http://127.0.0.1@93.184.216.34/",
        "file:///etc/passwd",
        "gopher://93.184.216.34/",
    ] {
        server.post("/v1/webhooks", &json!({ "url": url })).problem(422, "invalid");
        let callback = json!({ "type": "t", "callback": { "url": url } });
        server.post("/v1/tasks", &callback).problem(422, "invalid");
        server.post("/v1/tasks:batch", &json!([callback])).problem(422, "invalid");
        let schedule = json!({ "name": "n", "every": "1h", "task": callback });
        server.post("/v1/schedules", &schedule).problem(422, "invalid");
    }
}
