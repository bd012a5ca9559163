//! The private PostgreSQL that stories and stores are tested on.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use tasklane_testkit::postgres::{Cluster, End, Options, shared};
use tasklane_testkit::process;

/// Longest time a test waits for a session to do what it was asked.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn tests_share_a_cluster_and_have_databases_of_their_own() {
    let cluster = shared();
    let (first, second) = (cluster.scratch("one"), cluster.scratch("one"));
    cluster.sql_in(first.url(), "CREATE TABLE t (n int)").unwrap();
    let why = cluster.sql_in(second.url(), "SELECT n FROM t").unwrap_err();
    assert!(why.contains("does not exist"), "{why}");
    let copy = cluster.database_like("copy", first.url());
    assert_eq!(cluster.sql_in(&copy, "SELECT count(*) FROM t").unwrap(), "0");
    cluster.drop_database(&copy);
    let gone = first.url().to_owned();
    drop(first);
    assert!(cluster.sql_in(&gone, "SELECT 1").is_err(), "a scratch database is dropped");
}

#[test]
fn schemas_are_as_far_apart_as_databases_to_those_who_name_none() {
    let cluster = shared();
    let (first, second) = (cluster.schema("one"), cluster.schema("one"));
    cluster.sql_in(&first, "CREATE TABLE t (n int)").unwrap();
    let why = cluster.sql_in(&second, "SELECT n FROM t").unwrap_err();
    assert!(why.contains("does not exist"), "{why}");
}

#[test]
fn a_cluster_keeps_what_was_committed_over_both_kinds_of_restart() {
    let cluster = Cluster::start(Options::full());
    assert_eq!(cluster.sql("SHOW fsync"), "on");
    let url = cluster.database("kept");
    cluster.sql_in(&url, "CREATE TABLE t AS SELECT 1 AS n").unwrap();
    for end in [End::Fast, End::Immediate] {
        let before = cluster.pid();
        cluster.restart(end);
        assert_ne!(cluster.pid(), before);
        assert_eq!(cluster.sql_in(&url, "SELECT n FROM t").unwrap(), "1");
    }
    assert!(cluster.log().contains("was not properly shut down"), "an immediate end is a crash: {}", cluster.log());
    cluster.stop(End::Fast);
    assert!(cluster.sql_in(&url, "SELECT 1").is_err(), "a stopped cluster answers nobody");
    cluster.start_again();
    assert_eq!(cluster.sql_in(&url, "SELECT n FROM t").unwrap(), "1");
}

#[test]
fn sessions_are_found_and_ended_by_a_condition() {
    let cluster = Cluster::start(Options::fast());
    let url = cluster.url() + "?application_name=sleeper";
    let sleeper = std::thread::spawn(move || shared_sql(&url, "SELECT pg_sleep(60)"));
    let named = "application_name = 'sleeper'";
    process::until("the session", PATIENCE, || (!cluster.sessions(named).is_empty()).then_some(()));
    assert_eq!(cluster.terminate("application_name = 'nobody'"), 0);
    assert_eq!(cluster.terminate(named), 1);
    let why = sleeper.join().unwrap().unwrap_err();
    assert!(why.contains("terminating connection"), "{why}");
}

fn shared_sql(url: &str, statement: &str) -> Result<String, String> {
    shared().sql_in(url, statement)
}

#[test]
fn a_synchronous_standby_has_every_commit_and_takes_over() {
    let first = Cluster::start(Options::full());
    let url = first.database("tasks");
    let name = url.rsplit('/').next().unwrap().to_owned();
    let standby = first.standby();
    first.sql_in(&url, "CREATE TABLE t AS SELECT 7 AS n").unwrap();
    assert!(standby.sql_in(&standby.url_of(&name), "CREATE TABLE u ()").unwrap_err().contains("read-only"));
    first.stop(End::Immediate);
    standby.promote();
    let both = first.url_with(&standby, &name);
    assert_eq!(first.sql_in(&both, "INSERT INTO t SELECT n + 1 FROM t RETURNING n").unwrap(), "8");
}

#[test]
fn a_commit_waits_for_a_standby_that_is_away() {
    let first = Cluster::start(Options::fast());
    let standby = first.standby();
    standby.stop(End::Fast);
    let url = first.url();
    let commit = std::thread::spawn(move || shared_sql(&url, "CREATE TABLE t (n int)"));
    process::until("a commit that waits", PATIENCE, || first.sessions("wait_event = 'SyncRep'").pop());
    first.without_standby();
    commit.join().unwrap().unwrap();
}

#[test]
fn nothing_is_left_of_a_cluster_that_was_dropped() {
    let cluster = Cluster::start(Options::fast());
    let (pid, dir) = (cluster.pid(), cluster.dir().to_owned());
    assert!(process::state(pid).is_some() && dir.exists());
    drop(cluster);
    // Whose parent is gone is waited for by the system, now or later.
    assert!(matches!(process::state(pid), None | Some('Z')), "{:?}", process::state(pid));
    assert!(!dir.exists());
}

#[test]
fn nothing_is_left_of_a_cluster_whose_owner_was_killed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasklane-test-postgres"));
    let mut owner = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let dir = shared().sql_in(url.trim(), "SHOW data_directory").unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    process::until("the end of the cluster", PATIENCE, || shared().sql_in(url.trim(), "SELECT 1").err());
    process::until("its directory to go", PATIENCE, || (!std::path::Path::new(&dir).exists()).then_some(()));
}
