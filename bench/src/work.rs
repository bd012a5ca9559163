//! The worker process: a typed handler that does nothing, on `tasklane-client`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tasklane_client::{Client, TaskContext};
use tasklane_runner::Options;

use crate::Failure;
use crate::payload::TASK_TYPE;
use crate::tally::Tally;

/// What `payload` writes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Mail {
    user: u64,
    kind: String,
    to: String,
    #[serde(rename = "ref")]
    reference: String,
    t: i64,
}

impl Mail {
    /// The payload of a measured task; `t` as in [`crate::payload::payload`].
    pub fn at(t: i64) -> Self {
        let (kind, to, reference) = ("welcome-email".into(), "someone@example.com".into(), "b7c1d9e0f2".into());
        Self { user: 123_456, kind, to, reference, t }
    }
}

/// Tasks a worker holds at once: three batches, so that one is being run while others travel.
pub const SLOTS: usize = 1500;

/// Works for the server at `url` until the process is ended.
pub fn run(url: &str, dir: &Path, slots: usize) -> Result<(), Failure> {
    let tally = Arc::new(Tally::default());
    tally.publish(dir)?;
    let handle = move |_: TaskContext, mail: Mail| {
        tally.count(mail.t);
        std::future::ready(Ok(()))
    };
    let worker = Client::builder().url(url).build()?.worker();
    let worker = worker.options(Options { slots, ..Options::default() }).handle(TASK_TYPE, handle);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(worker.run())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payload::payload;

    #[test]
    fn the_typed_payload_is_the_plain_one() {
        assert_eq!(serde_json::to_string(&Mail::at(7)).unwrap(), payload(7));
        assert_eq!(serde_json::from_str::<Mail>(&payload(7)).unwrap().t, 7);
    }
}
