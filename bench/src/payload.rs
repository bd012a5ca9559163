//! What a measured task carries: about 100 bytes.

/// The type of every measured task.
pub const TASK_TYPE: &str = "bench.noop";

/// The payload; `t` is when its submit began (ns, `CLOCK_MONOTONIC`), or 0 where latency is not measured.
pub fn payload(t: i64) -> String {
    format!(r#"{{"user":123456,"kind":"welcome-email","to":"someone@example.com","ref":"b7c1d9e0f2","t":{t}}}"#)
}

/// A new task as the body of a submit has it.
pub fn new_task() -> String {
    format!(r#"{{"type":"{TASK_TYPE}","payload":{}}}"#, payload(0))
}

/// `count` of them as a JSON array.
pub fn batch(count: usize) -> String {
    let one = new_task();
    format!("[{}]", vec![one; count].join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_about_100_bytes_of_json() {
        let text = payload(0);
        assert!((90..=110).contains(&text.len()), "{}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&batch(3)).is_ok_and(|it| it.as_array().is_some()));
    }
}
