//! What the ledger says, held against what the servers say: nothing lost, nothing accepted twice, nothing stuck.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::fleet::Fleet;

/// Findings that are shown.
const SHOWN: usize = 5;

/// What a story came to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Tasks that were acknowledged.
    pub acked: usize,
    /// Those of them that succeeded.
    pub succeeded: usize,
    /// Those of them that are gone or ended otherwise.
    pub lost: Vec<String>,
    /// Those of them of which more was accepted than the one completion that was kept.
    pub doubled: Vec<String>,
    /// Whatever else is not as it should be.
    pub wrong: Vec<String>,
    /// The longest while in which nothing was done.
    pub longest_stall: Duration,
    /// Ended by the guard against crash loops: three attempts in a row met a strike.
    pub looped: usize,
    /// Attempts of all of them.
    pub attempts: u64,
    /// Attempts whose lease was lost.
    pub rescued: usize,
    /// Those of them that somebody worked on. The others nobody heard of: the answer to who leased was lost.
    pub interrupted: usize,
    /// Effects beyond the first of a task.
    pub repeated: usize,
    /// Calls that a server refused.
    pub refused: usize,
    /// Tasks whose acknowledgement nobody heard.
    pub unheard: usize,
}

impl Figures {
    /// Panics unless all is as it should be.
    #[track_caller]
    pub fn assert_sound(&self) {
        let found = [("lost", &self.lost), ("doubled", &self.doubled), ("wrong", &self.wrong)];
        for (what, found) in found {
            assert!(found.is_empty(), "{what}: {} {:#?}", found.len(), &found[..found.len().min(SHOWN)]);
        }
    }
}

/// Every task that the servers list, by id.
pub fn tasks(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut tasks = BTreeMap::new();
    let mut path = "/v1/tasks?limit=200".to_owned();
    loop {
        let page = fleet.ask_any(&path).expect("a server answers");
        for task in page["items"].as_array().unwrap() {
            tasks.insert(task["id"].as_str().unwrap().to_owned(), task.clone());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return tasks };
        path = format!("/v1/tasks?limit=200&cursor={cursor}");
    }
}

/// Checks everything once all is at rest; at least so many tasks must have succeeded.
pub fn check(fleet: &Fleet, least: usize) -> Figures {
    let (tasks, ledger) = (tasks(fleet), &fleet.ledger);
    let (effects, completed) = (pairs(&ledger.of("effect")), pairs(&ledger.of("completed")));
    let acked = ledger.of("acked");
    let refused = fleet.refusals.of("refused");
    let mut figures = Figures { acked: acked.len(), refused: refused.len(), ..Figures::default() };
    let mut keys = BTreeMap::new();
    for line in &acked {
        let (id, key) = line.split_once(' ').unwrap();
        if keys.insert(key, id).is_some() {
            figures.wrong.push(format!("the key {key} was answered twice"));
        }
        let Some(task) = tasks.get(id) else {
            figures.lost.push(format!("{id} was acknowledged and is gone"));
            continue;
        };
        add(&mut figures, task, effects.get(id), completed.get(id));
        if task["attempt"] != 1 {
            let lost = lost_leases(fleet, id);
            figures.rescued += lost.len();
            figures.interrupted +=
                lost.iter().filter(|it| effects.get(id).is_some_and(|seen| seen.contains(it))).count();
        }
    }
    let promised: BTreeSet<&str> = keys.values().copied().collect();
    if promised.len() != acked.len() {
        figures.wrong.push("two keys led to one task".to_owned());
    }
    figures.unheard = tasks.keys().filter(|it| !promised.contains(it.as_str())).count();
    figures.repeated = effects.values().map(|it| it.len() - 1).sum();
    for line in refused {
        let mut words = line.split(' ');
        let (status, after) = (words.next(), words.next());
        let awaited = status == Some("503") && after.is_some_and(|it| it.parse::<u64>().is_ok());
        if !awaited {
            figures.wrong.push(format!("only 503 with Retry-After may refuse here: {line}"));
        }
    }
    figures.wrong.extend(gates_held(fleet));
    assert!(figures.succeeded >= least, "only {} tasks succeeded: that was no load", figures.succeeded);
    figures
}

/// Gates that something holds though nothing runs, and servers that had to give slots back that nobody held.
fn gates_held(fleet: &Fleet) -> Vec<String> {
    let gates = fleet.ask_any("/v1/gates?limit=200").expect("a server answers");
    // Deliveries may be on their way still.
    let is_of_tasks = |it: &&Value| !it["name"].as_str().unwrap().contains(":~");
    let of_tasks = gates["items"].as_array().unwrap().iter().filter(is_of_tasks);
    let held = of_tasks.filter(|it| it["running"] != 0 || it["waiting"] != 0);
    let metrics = |server| fleet.connect(server)?.call("GET", "/metrics", &[], b"").ok().map(|it| it.text());
    let regained = (0..fleet.servers.len()).filter_map(|server| {
        let text = metrics(server)?;
        text.lines()
            .find(|it| it.starts_with("tasklane_gate_slots_regained ") && !it.ends_with(" 0.0"))
            .map(str::to_owned)
    });
    held.map(Value::to_string).chain(regained).collect()
}

/// One acknowledged task, against its effects and the completions that its reporter was told were accepted.
fn add(figures: &mut Figures, task: &Value, effects: Option<&Vec<String>>, completed: Option<&Vec<String>>) {
    let attempt = task["attempt"].as_u64().unwrap();
    figures.attempts += attempt;
    let accepted: BTreeSet<_> = completed.into_iter().flatten().collect();
    if accepted.len() > 1 {
        figures.doubled.push(format!("accepted {accepted:?}: {task}"));
        return;
    }
    if task["state"] == "failed" && task["reason"] == "crash_loop" {
        // A rule, not a loss; but nothing of it may have been accepted.
        if accepted.is_empty() {
            figures.looped += 1;
        } else {
            figures.lost.push(format!("accepted {accepted:?}: {task}"));
        }
        return;
    }
    if task["state"] != "succeeded" {
        figures.lost.push(task.to_string());
        return;
    }
    figures.succeeded += 1;
    let done = task["attempt"].to_string();
    if task.get("result").is_some_and(|it| *it != task["attempt"]) || accepted.iter().any(|it| **it != done) {
        figures.doubled.push(format!("accepted {accepted:?}, kept {task}"));
    }
    if !effects.is_some_and(|it| it.contains(&done)) {
        figures.wrong.push(format!("it succeeded without an effect of attempt {done}: {task}"));
    }
}

/// The attempts of a task that ended by a lost lease.
fn lost_leases(fleet: &Fleet, id: &str) -> Vec<String> {
    let attempts = fleet.ask_any(&format!("/v1/tasks/{id}/attempts")).expect("a server answers");
    let lost = attempts["items"].as_array().unwrap().iter().filter(|it| it["failure"]["kind"] == "lease_lost");
    lost.map(|it| it["attempt"].to_string()).collect()
}

fn pairs(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (id, attempt) = line.split_once(' ').unwrap();
        pairs.entry(id.into()).or_default().push(attempt.into());
    }
    pairs
}
