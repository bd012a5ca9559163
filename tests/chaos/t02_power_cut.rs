//! T02: the power of the disk is cut under load, at random moments: what is left of it has everything that was acknowledged
//! and every completion that was accepted.
//!
//! Seen red: with `synchronous=NORMAL`, what was acknowledged last is gone.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tasklane_stories::harness::disk::Disk;
use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::need::can;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::{ServerOptions, binary};

const NAME: &str = "t02_power_cut::sqlite";
const MEBIBYTES: u64 = 400;

#[test]
fn sqlite() {
    if !can(
        NAME,
        "mounting a file system in a file",
        "sh",
        &["-c", "losetup --find && command -v mkfs.ext4 fsfreeze && test $(id -u) = 0"],
    ) {
        return;
    }
    chaos(NAME, Store::Sqlite, |run| {
        let disk = Disk::new(MEBIBYTES);
        let fleet = Fleet::start(Ground::SqliteAt(disk.at().join("data")), 1, 2);
        let figures = under_load(&fleet, 50, |_| {
            for nth in 0..run.form.of(8, 100) {
                thread::sleep(Duration::from_millis(100) + run.choices.moment(600));
                cut(&disk, &fleet, run, nth);
            }
        });
        run.found(&figures);
    });
}

fn cut(disk: &Disk, fleet: &Fleet, run: &mut Run, nth: usize) {
    let (acked, completed) = (fleet.ledger.of("acked"), fleet.ledger.of("completed"));
    let remains = disk.cut(nth);
    run.line.faults += 1;
    let data = remains.at.join("data");
    let mut server = ServerOptions::without_executors().in_dir(&data).start();
    let mut connection = server.connect();
    let completed: BTreeSet<_> = completed.iter().filter_map(|it| it.split(' ').next()).collect();
    // All of them each time would take longer than the run.
    let newest = acked.iter().rev().take(300).chain(acked.iter().step_by(1 + acked.len() / 50));
    for id in newest.filter_map(|it| it.split(' ').next()) {
        let reply = connection.call("GET", &format!("/v1/tasks/{id}"), &[], b"").unwrap();
        let is_done = reply.status == 200 && reply.json()["state"] == "succeeded";
        if reply.status != 200 || (completed.contains(id) && !is_done) {
            run.line.lost += 1;
        }
    }
    assert_eq!(run.line.lost, 0, "after cut {nth}");
    assert_eq!(server.stop().code(), Some(0));
    let checked = Command::new(binary::tasklane()).args(["db", "check", "--data-dir"]).arg(&data).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
