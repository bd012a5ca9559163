//! The disk fills up: submits are refused with 507, what was accepted is finished, and it goes on by itself afterwards.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::process::until;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{Server, ServerOptions};

/// Set in the environment of a test that runs again where it may mount.
const AGAIN: &str = "TASKLANE_STORY_MAY_MOUNT";

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
    let name = "disk_full::submits_are_refused_and_the_rest_goes_on";
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
fn submits_are_refused_and_the_rest_goes_on() {
    story("disk_full", || {
        let dir = tempfile::tempdir().unwrap();
        let disk = match SmallDisk::mount(&dir.path().join("disk"), 96) {
            Ok(disk) => disk,
            Err(why) if may_mount() => panic!("a small disk cannot be mounted: {why}"),
            Err(_) if told_in_a_namespace() => return,
            Err(why) => return skip("disk_full", &format!("neither root nor a user namespace may mount here: {why}")),
        };
        let mut server = ServerOptions::without_executors().in_dir(&disk.0.join("data")).start();
        let tasks = json!(vec![json!({ "type": "demo" }); 500]);
        server.post("/v1/tasks:batch", &tasks).expect(201);
        let leased = server.lease("w", "demo", 500, "10m");
        assert_eq!(leased.len(), 500);

        disk.fill();
        let mut accepted = submit_until_full(&server);
        // Completions, with results of some size, are still written; so is everything else that is no submit.
        for piece in leased.chunks(50) {
            let done: Vec<_> = piece
                .iter()
                .map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": "r".repeat(1000) }))
                .collect();
            assert_eq!(server.report(&json!({ "worker": "w", "succeed": done }))["lost"], json!([]));
        }
        server.act(&format!("/v1/tasks/{}:cancel", accepted.last().map_or_else(String::new, Clone::clone)));
        server.post("/v1/tasks", &large_task()).problem(507, "disk_full");
        server.get("/v1/tasks").expect(200);
        server.get("/metrics").expect(200);

        disk.free();
        let id = until("submits to be accepted again", Duration::from_secs(10), || {
            let reply = server.post("/v1/tasks", &large_task());
            (reply.status == 201).then(|| reply.json()["id"].as_str().unwrap().to_owned())
        });
        accepted.push(id);
        server.kill();
        server.start();
        for task in &leased {
            assert_eq!(server.task(task["id"].as_str().unwrap())["state"], "succeeded");
        }
        for id in &accepted {
            server.task(id);
        }
        drop(server);
    });
}
