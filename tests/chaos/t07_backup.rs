//! T07: backups are made under load, and restored; a restore is killed half way. What was restored is one moment of the
//! store, with everything that was acknowledged before the backup began; half a restore is never served.
//!
//! Seen red: with a copy of the main file alone, nothing is there to restore.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::server::clean;
use tasklane_testkit::{ServerOptions, binary};

#[test]
fn sqlite() {
    chaos("t07_backup::sqlite", Store::Sqlite, |run| {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let fleet = Fleet::start(Ground::SqliteAt(data.clone()), 1, 2);
        let figures = under_load(&fleet, 50, |_| {
            for nth in 0..run.form.of(3, 20) {
                thread::sleep(Duration::from_millis(300) + run.choices.moment(500));
                cycle(&fleet, run, &data, &dir.path().join(nth.to_string()));
            }
        });
        run.found(&figures);
    });
}

fn db(data: &std::path::Path, word: &str, file: &std::path::Path) -> Command {
    let mut command = Command::new(binary::tasklane());
    command.args(["db", "--data-dir"]).arg(data).arg(word).arg(file);
    clean(&mut command).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A backup, a restore that is killed, a restore that is not, and a look at what is there.
fn cycle(fleet: &Fleet, run: &mut Run, data: &std::path::Path, aside: &std::path::Path) {
    std::fs::create_dir(aside).unwrap();
    let (file, again) = (aside.join("backup"), aside.join("data"));
    let acked = fleet.ledger.of("acked");
    let began = Instant::now();
    assert!(db(data, "backup", &file).status().unwrap().success());
    run.figure("backup_ms", began.elapsed().as_secs_f64() * 1000.0);

    let mut half = db(&again, "restore", &file).spawn().unwrap();
    thread::sleep(run.choices.moment(20));
    let _ = half.kill();
    let was_whole = half.wait().unwrap().success();
    run.line.faults += 1;
    let mut server = ServerOptions::without_executors().in_dir(&again).prepare();
    server.spawn();
    server.wait_ready();
    let tasks = server.get("/v1/stats").expect(200).json();
    let many: u64 = tasks["tasks"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert!(many == 0 || many >= acked.len() as u64, "half a restore is served: {many} of {}", acked.len());
    assert!(!was_whole || many > 0, "a restore that ended well is not there");
    assert_eq!(server.stop().code(), Some(0));

    assert!(db(&again, "restore", &file).status().unwrap().success());
    server.start();
    for id in acked.iter().filter_map(|it| it.split(' ').next()) {
        run.line.lost += usize::from(server.get(&format!("/v1/tasks/{id}")).status != 200);
    }
    assert_eq!(run.line.lost, 0, "what was acknowledged before the backup is not in it");
    assert_eq!(server.stop().code(), Some(0));
    let checked = Command::new(binary::tasklane()).args(["db", "check", "--data-dir"]).arg(&again).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
