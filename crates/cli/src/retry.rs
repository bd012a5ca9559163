//! `tasklane retry`: the same tasks again.

use clap::Args;

use crate::act;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Remote, task_id};

/// Try failed, expired or cancelled tasks again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane retry 0198f2a4-0000-7000-8000-000000000001
  tasklane ls --state failed -o id | xargs tasklane retry")]
pub(crate) struct Retry {
    /// Which tasks
    #[arg(required = true, value_name = "ID", value_parser = task_id)]
    ids: Vec<String>,
}

impl Retry {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        act::on_each(&self.ids, "retry", remote, output).await
    }
}
