//! `tasklane result`: what a task made, as the JSON it is.

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Call, Remote, task_id};
use crate::wait::{self, Patience};

/// Print a task's result
#[derive(Debug, Args)]
#[command(
    name = "result",
    after_help = "\
Examples:
  tasklane result 0198f2a4-0000-7000-8000-000000000001
  tasklane result 0198f2a4-0000-7000-8000-000000000001 --wait=5m | jq .

The exit code is 3 if the task did not succeed, 7 if it is not finished, 6 if it was not in the given time."
)]
pub(crate) struct GetResult {
    /// Which task
    #[arg(value_name = "ID", value_parser = task_id)]
    id: String,
    /// Wait for the end, at most so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    wait: Option<Patience>,
}

impl GetResult {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        if let Some(patience) = self.wait {
            wait::ended(remote, output, &self.id, patience).await?;
        }
        match remote.call(Call::get(["tasks", &self.id, "result"])).await {
            Ok(body) => output.document(&body).map(|()| Exit::Ok),
            Err(failure) if failure.code.as_deref() == Some("task_not_finished") => {
                Err(failure.remedy(format!("wait for it: tasklane result {} --wait", self.id)))
            }
            Err(failure) => Err(failure),
        }
    }
}
