//! What the ledger says, held against what the servers say: nothing lost, nothing accepted twice, nothing stuck.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fleet::Fleet;

/// What a story came to.
#[derive(Debug, Default)]
pub struct Figures {
    pub acked: usize,
    pub succeeded: usize,
    /// Ended by the guard against crash loops: three attempts in a row met a strike.
    pub looped: usize,
    pub attempts: u64,
    /// Attempts whose lease was lost.
    pub rescued: usize,
    /// Those of them that somebody worked on. The others nobody heard of: the answer to who leased was lost.
    pub interrupted: usize,
    /// Effects beyond the first of a task.
    pub repeated: usize,
    pub refused: usize,
    pub unheard: usize,
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

/// Checks everything once all is at rest.
pub fn check(fleet: &Fleet, least: usize) -> Figures {
    let (tasks, ledger) = (tasks(fleet), &fleet.ledger);
    let (effects, completed) = (pairs(&ledger.of("effect")), pairs(&ledger.of("completed")));
    let acked = ledger.of("acked");
    let refused = ledger.of("refused");
    let mut figures = Figures { acked: acked.len(), refused: refused.len(), ..Figures::default() };
    let mut keys = BTreeMap::new();
    for line in &acked {
        let (id, key) = line.split_once(' ').unwrap();
        assert_eq!(keys.insert(key, id), None, "the key {key} was answered twice");
        let task = tasks.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        add(&mut figures, task, effects.get(id), completed.get(id));
        if task["attempt"] != 1 {
            let lost = lost_leases(fleet, id);
            figures.rescued += lost.len();
            figures.interrupted +=
                lost.iter().filter(|it| effects.get(id).is_some_and(|seen| seen.contains(it))).count();
        }
    }
    let promised: BTreeSet<&str> = keys.values().copied().collect();
    assert_eq!(promised.len(), acked.len(), "two keys led to one task");
    figures.unheard = tasks.len() - promised.len();
    figures.repeated = effects.values().map(|it| it.len() - 1).sum();
    for line in refused {
        let mut words = line.split(' ');
        let (status, after) = (words.next(), words.next());
        let awaited = status == Some("503") && after.is_some_and(|it| it.parse::<u64>().is_ok());
        assert!(awaited, "only 503 with Retry-After may refuse here: {line}");
    }
    assert!(figures.succeeded >= least, "only {} tasks succeeded: that was no load", figures.succeeded);
    figures
}

/// One acknowledged task, against its effects and the completions that its reporter was told were accepted.
fn add(figures: &mut Figures, task: &Value, effects: Option<&Vec<String>>, completed: Option<&Vec<String>>) {
    let attempt = task["attempt"].as_u64().unwrap();
    figures.attempts += attempt;
    let accepted: BTreeSet<_> = completed.into_iter().flatten().collect();
    assert!(accepted.len() <= 1, "doubly accepted {accepted:?}: {task}");
    if task["state"] == "failed" && task["reason"] == "crash_loop" {
        // A rule, not a loss; but nothing of it may have been accepted.
        assert!(accepted.is_empty(), "accepted {accepted:?}: {task}");
        figures.looped += 1;
        return;
    }
    assert_eq!(task["state"], "succeeded", "{task}");
    figures.succeeded += 1;
    let done = task["attempt"].to_string();
    if let Some(it) = task.get("result") {
        assert_eq!(it.to_string(), done, "the result of another attempt was kept: {task}");
    }
    assert!(accepted.iter().all(|it| **it == done), "accepted {accepted:?}, kept {task}");
    assert!(effects.is_some_and(|it| it.contains(&done)), "it succeeded without an effect of attempt {done}: {task}");
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
