//! T02: the power of the disk is cut under load, at random moments: what is left of it has everything that was acknowledged
//! and every completion that was accepted.
//!
//! Seen red: with `synchronous=NORMAL`, or `synchronous_commit=off`, what was acknowledged last is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tasklane_stories::harness::disk::Disk;
use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::need::{can, must};
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::binary;
use tasklane_testkit::postgres::{Cluster, Options};
use tasklane_testkit::server::clean;

const MEBIBYTES: u64 = 400;

#[test]
fn sqlite() {
    tell("t02_power_cut::sqlite", Store::Sqlite, |disk| Ground::SqliteAt(disk.join("data")));
}

#[test]
#[ignore = "told by make chaos"]
fn postgres() {
    tell("t02_power_cut::postgres", Store::Postgres, |disk| {
        // Of its log it keeps no more than the disk has room for.
        let cluster = Cluster::start(Options::full().with("max_wal_size", "96MB").under(disk));
        let url = cluster.database("fleet");
        // What it was made of was not synced.
        must("sync", &["-f", disk.to_str().unwrap()]);
        Ground::Postgres(cluster, url)
    });
}

fn tell(name: &str, store: Store, ground: impl FnOnce(&Path) -> Ground) {
    let probe = "losetup --find && command -v mkfs.ext4 fsfreeze && test $(id -u) = 0";
    if !can(name, "mounting a file system in a file", "sh", &["-c", probe]) {
        return;
    }
    chaos(name, store, |run| {
        let disk = Disk::new(MEBIBYTES);
        let fleet = Fleet::start(ground(disk.at()), 1, 2);
        let cuts = match store {
            Store::Sqlite => run.form.of(8, 100),
            Store::Postgres => run.form.of(3, 100),
        };
        let figures = under_load(&fleet, 50, |_| {
            for nth in 0..cuts {
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
    let ground = revived(&fleet.ground, &remains.at);
    let dir = tempfile::tempdir().unwrap();
    let mut server = ground.server(dir.path()).start();
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
    let mut check = Command::new(binary::tasklane());
    clean(check.args(["db", "check"]));
    match &ground {
        Ground::Postgres(_, url) => check.env("TASKLANE_DATABASE_URL", url),
        Ground::Sqlite | Ground::SqliteAt(_) => check.arg("--data-dir").arg(server.data_dir()),
    };
    let checked = check.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// What is left of the ground, there.
fn revived(ground: &Ground, at: &Path) -> Ground {
    match ground {
        Ground::Postgres(cluster, url) => {
            let remains = Cluster::of_remains(&at.join(cluster.dir().file_name().unwrap()), Options::full());
            let url = remains.url_of(url.rsplit_once('/').unwrap().1);
            Ground::Postgres(remains, url)
        }
        Ground::Sqlite | Ground::SqliteAt(_) => Ground::SqliteAt(at.join("data")),
    }
}
