//! T04: the disk of the data, of the log and of temporary files fills up: submits are refused with 507, what was accepted is
//! finished, leases are renewed, and it goes on by itself afterwards.
//!
//! Seen red: without the reserve, completions are refused too.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;
use tasklane_testkit::story::skip;
use tasklane_testkit::{Server, ServerOptions};

/// Set in the environment of a test that runs again where it may mount.
const AGAIN: &str = "TASKLANE_STORY_MAY_MOUNT";

/// How soon submits are taken again once there is room.
const ACCEPTS_AGAIN: Duration = Duration::from_secs(5);
/// So many commits of gates that one of them is the first to meet the full disk.
const GATE_COMMITS: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this process has the right to mount: capability 21, CAP_SYS_ADMIN.
fn may_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & (1 << 21) != 0
}

/// Tells the story again in a user namespace, where anybody may mount; `false` where the system forbids that too.
fn told_in_a_namespace() -> bool {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command
    };
    if std::env::var_os(AGAIN).is_some() || !unshare().arg("true").status().is_ok_and(|it| it.success()) {
        return false;
    }
    let name = "t04_disk_full::sqlite";
    let this = std::env::current_exe().unwrap();
    let told = unshare().arg(this).args(["--exact", name, "--nocapture"]).env(AGAIN, "1").status().unwrap();
    assert!(told.success(), "the story failed in its namespace");
    true
}

/// A small disk of its own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path, mebibytes: u32) -> Result<Self, String> {
        fs::create_dir_all(dir).unwrap();
        let options = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tasklane-story"]).arg(dir).output();
        match mount {
            Ok(done) if done.status.success() => Ok(Self(dir.into())),
            Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        let piece = vec![0_u8; 64 << 10];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&piece[..1]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn large_task() -> Value {
    json!({ "type": "large", "payload": "x".repeat(100_000) })
}

/// Submits until it is refused for want of space; answers with what was accepted.
fn submit_until_full(server: &Server) -> Vec<String> {
    let mut accepted = Vec::new();
    loop {
        let reply = server.post("/v1/tasks", &large_task());
        match reply.status {
            201 => accepted.push(reply.json()["id"].as_str().unwrap().to_owned()),
            507 => {
                assert!(reply.header("retry-after").is_some(), "a 507 without Retry-After");
                reply.problem(507, "disk_full");
                return accepted;
            }
            other => panic!("{other}: {}", reply.text()),
        }
        assert!(accepted.len() < 2000, "200 MB went to a disk of 96");
    }
}

#[test]
fn sqlite() {
    chaos("t04_disk_full::sqlite", Store::Sqlite, |run| {
        let dir = tempfile::tempdir().unwrap();
        let disk = match SmallDisk::mount(&dir.path().join("disk"), 96) {
            Ok(disk) => disk,
            Err(why) if may_mount() => panic!("a small disk cannot be mounted: {why}"),
            Err(_) if told_in_a_namespace() => return,
            Err(why) => {
                return skip(
                    "t04_disk_full::sqlite",
                    &format!("neither root nor a user namespace may mount here: {why}"),
                );
            }
        };
        let options = ServerOptions::without_executors().in_dir(&disk.0.join("data")).with_env("TMPDIR", &disk.0);
        let mut server = options.logging_to(&disk.0.join("log")).start();
        for _ in 0..run.form.of(1, 10) {
            fill_and_free(run, &disk, &mut server);
        }
    });
}

fn fill_and_free(run: &mut Run, disk: &SmallDisk, server: &mut Server) {
    let tasks = json!(vec![json!({ "type": "demo" }); 500]);
    server.post("/v1/tasks:batch", &tasks).expect(201);
    let leased = server.lease("w", "demo", 500, "10m");
    assert_eq!(leased.len(), 500);
    server.submit(&json!({ "type": "kept" }));
    let kept = server.lease("w", "kept", 1, "2s");

    disk.fill();
    run.line.faults += 1;
    // Whichever commit meets the full disk first is carried out all the same, and whole.
    for most in 1..=GATE_COMMITS {
        let set = server.connect().json("PUT", "/v1/gates/key:g", &json!({ "max_running": most }));
        let set = set.unwrap().expect(200).json();
        assert_eq!(set["max_running"], most);
    }
    let mut accepted = submit_until_full(server);
    // Completions, with results of some size, are still written; so are renewals, and everything else that is no submit.
    let began = Instant::now();
    for piece in leased.chunks(50) {
        let done: Vec<_> = piece
            .iter()
            .map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": "r".repeat(1000) }))
            .collect();
        let renew = json!({ "id": kept[0]["id"], "lease": kept[0]["lease"] });
        let report = json!({ "worker": "w", "succeed": done, "renew": [renew] });
        assert_eq!(server.report(&report)["lost"], json!([]));
        assert_eq!(server.task(piece[0]["id"].as_str().unwrap())["state"], "succeeded");
    }
    // Longer than a lease, all of it on the full disk.
    while began.elapsed() < Duration::from_secs(3) {
        let renew = json!({ "worker": "w", "renew": [{ "id": kept[0]["id"], "lease": kept[0]["lease"] }] });
        assert_eq!(server.report(&renew)["lost"], json!([]));
        std::thread::sleep(Duration::from_millis(500));
    }
    server.act(&format!("/v1/tasks/{}:cancel", accepted.last().map_or_else(String::new, Clone::clone)));
    server.post("/v1/tasks", &large_task()).problem(507, "disk_full");
    server.get("/v1/tasks").expect(200);
    server.get("/metrics").expect(200);

    disk.free();
    let freed = Instant::now();
    let id = until("submits to be accepted again", PATIENCE, || {
        let reply = server.post("/v1/tasks", &large_task());
        (reply.status == 201).then(|| reply.json()["id"].as_str().unwrap().to_owned())
    });
    run.within("accepts_again_ms", freed.elapsed(), ACCEPTS_AGAIN);
    accepted.push(id);
    server.kill();
    server.start();
    // What is done may have gone: of a disk that is nearly full, the oldest of it makes room. What is not done stays.
    for id in &accepted {
        server.task(id);
        server.task(id);
        // The next round has the same room.
        server.act(&format!("/v1/tasks/{id}:cancel"));
    }
    run.line.acked += leased.len() + accepted.len();
    run.line.succeeded += leased.len();
}
