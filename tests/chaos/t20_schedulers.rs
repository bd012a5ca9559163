//! T20: a schedule comes every second, on servers of which one is killed, or stands still, again and again, and whose clocks
//! are minutes off: each slot makes exactly one task.
//!
//! Seen red: with changes of records that hold whatever was seen, slots make two tasks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::{Server, Signal};

use crate::t21_clocks::wall_clock;

/// How far the servers' wall clocks are off, in seconds.
const OFF: [i64; 2] = [-120, 120];
/// Slots of a page.
const PAGE: usize = 200;

#[test]
fn sqlite() {
    chaos("t20_schedulers::sqlite", Store::Sqlite, tell);
}

#[test]
fn postgres() {
    chaos("t20_schedulers::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::of(run.store);
    let mut servers: Vec<Server> = (0..run.store.servers()).map(|nth| server(&ground, dir.path(), nth)).collect();
    let each_second = json!({ "name": "tick", "every": "1s", "missed": { "policy": "all", "cap": 1000 },
        "task": { "type": "tick", "queue": "ticks", "payload": "{slot}" } });
    let schedule = servers[0].post("/v1/schedules", &each_second).expect(201).json();
    let (start, length) = (Instant::now(), run.form.of(Duration::from_secs(12), Duration::from_secs(300)));
    let pause = run.form.of(Duration::from_secs(3), Duration::from_secs(20));
    for strike in 0.. {
        thread::sleep(pause + run.choices.moment(500));
        let victim = strike % servers.len();
        if strike % 3 == 2 {
            servers[victim].signal(Signal::Stop);
            thread::sleep(pause / 2);
            servers[victim].signal(Signal::Cont);
        } else {
            servers[victim].kill();
            servers[victim].start();
        }
        run.line.faults += 1;
        if start.elapsed() > length {
            break;
        }
    }
    // What came while the last strike lasted is made late.
    thread::sleep(Duration::from_secs(2));
    let path = format!("/v1/schedules/{}", schedule["id"].as_str().unwrap());
    servers[0].act(&format!("{path}:pause")).expect(200);
    check(run, &servers[0], &path, start.elapsed());
}

fn server(ground: &Ground, dir: &Path, nth: usize) -> Server {
    let own = dir.join(nth.to_string());
    fs::create_dir(&own).unwrap();
    let clock = own.join("seconds");
    fs::write(&clock, OFF[nth].to_string()).unwrap();
    ground.server(&own).with_env("LD_PRELOAD", wall_clock(&own)).with_env("STORY_CLOCK", clock).start()
}

/// Each second from the first slot to the last made one task, and no task is of none.
fn check(run: &mut Run, server: &Server, path: &str, lasted: Duration) {
    let mut runs = pages(server, &format!("{path}/runs?limit={PAGE}"));
    runs.reverse();
    assert!(runs.len() as u64 + 3 > lasted.as_secs(), "{} slots in {lasted:?}", runs.len());
    for pair in runs.windows(2) {
        let [earlier, later] = [&pair[0], &pair[1]].map(|it| seconds(&it["at"]));
        assert_eq!((later - earlier).rem_euclid(86_400), 1, "a slot is missing between {pair:?}");
    }
    let mut made: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let tasks = pages(server, &format!("/v1/tasks?queue=ticks&limit={PAGE}"));
    for task in &tasks {
        assert_eq!(task["payload"], task["slot"]);
        made.entry(task["slot"].as_str().unwrap()).or_default().push(&task["id"]);
    }
    for it in &runs {
        let of_slot = made.get(it["at"].as_str().unwrap()).map_or(&[][..], Vec::as_slice);
        assert_eq!((it["outcome"].as_str(), of_slot), (Some("made"), &[&it["task"]][..]), "{it}");
    }
    assert_eq!(made.len(), runs.len());
    run.line.acked = runs.len();
    run.figure("slots", runs.len() as f64);
}

fn pages(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}{cursor}")).expect(200).json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// The second of the day that a time names.
fn seconds(at: &Value) -> i64 {
    let text = at.as_str().unwrap();
    let number = |from: usize| text[from..from + 2].parse::<i64>().unwrap();
    number(11) * 3600 + number(14) * 60 + number(17)
}
