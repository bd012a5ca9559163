//! What a measured task carries: about 100 bytes.

/// The type of every measured task.
pub const TASK_TYPE: &str = "bench.noop";

/// The payload; `t` is when its submit began (ns, `CLOCK_MONOTONIC`), or 0 where latency is not measured.
pub fn payload(t: i64) -> String {
    format!(r#"{{"user":123456,"kind":"welcome-email","to":"someone@example.com","ref":"b7c1d9e0f2","t":{t}}}"#)
}

/// Over how many queues, tenants and gates tasks are spread, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Queues; where there is one, it is the default one.
    pub queues: usize,
    /// Tenants; where there is one, it is nobody.
    pub tenants: usize,
    /// Gates that let [`AT_A_TIME`] run; where there is none, tasks pass none.
    pub gates: usize,
}

impl Spread {
    /// One queue, nobody's, no gates.
    pub const NONE: Self = Self { queues: 1, tenants: 1, gates: 0 };
}

/// How many tasks a gate lets run at a time.
const AT_A_TIME: usize = 4;

/// A new task as the body of a submit has it.
pub fn new_task() -> String {
    nth_task(0, Spread::NONE)
}

fn nth_task(n: usize, spread: Spread) -> String {
    let named = |word: &str, of: usize| match of {
        1 => String::new(),
        many => format!(r#""{word}":"{word}-{}","#, n % many),
    };
    let (queue, tenant) = (named("queue", spread.queues), named("tenant", spread.tenants));
    let gate = match spread.gates {
        0 => String::new(),
        many => format!(r#""limits":[{{"key":"gate-{}","max_running":{AT_A_TIME}}}],"#, n % many),
    };
    format!(r#"{{{queue}{tenant}{gate}"type":"{TASK_TYPE}","payload":{}}}"#, payload(0))
}

/// `count` of them as a JSON array.
pub fn batch(count: usize, spread: Spread) -> String {
    let tasks: Vec<String> = (0..count).map(|n| nth_task(n, spread)).collect();
    format!("[{}]", tasks.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn payloads_are_about_100_bytes_of_json() {
        let text = payload(0);
        assert!((90..=110).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn batches_are_spread_in_turn() {
        let tasks = |spread| -> Vec<serde_json::Value> { serde_json::from_str(&batch(3, spread)).unwrap() };
        assert!(tasks(Spread::NONE).iter().all(|it| ["queue", "tenant", "limits"].iter().all(|key| it[key].is_null())));
        let spread = tasks(Spread { queues: 2, tenants: 3, gates: 2 });
        let gates: Vec<_> = spread.iter().map(|it| it["limits"][0]["key"].as_str().unwrap()).collect();
        assert_eq!(gates, ["gate-0", "gate-1", "gate-0"]);
        let named = |word: &str| spread.iter().map(|it| it[word].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(named("queue"), ["queue-0", "queue-1", "queue-0"]);
        assert_eq!(named("tenant"), ["tenant-0", "tenant-1", "tenant-2"]);
    }
}
