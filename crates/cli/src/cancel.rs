//! `tasklane cancel`: stops tasks.

use clap::Args;

use crate::act;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Remote, task_id};

/// Cancel tasks; running ones are asked to stop
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane cancel 0198f2a4-0000-7000-8000-000000000001
  tasklane ls --state queued --type mail.send -o id | xargs tasklane cancel")]
pub(crate) struct Cancel {
    /// Which tasks
    #[arg(required = true, value_name = "ID", value_parser = task_id)]
    ids: Vec<String>,
}

impl Cancel {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        act::on_each(&self.ids, "cancel", remote, output).await
    }
}
