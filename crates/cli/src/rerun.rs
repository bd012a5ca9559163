//! `tasklane rerun`: new tasks with the input of old ones.

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, task_id};
use crate::task::Task;

/// Submit tasks anew with the input of old ones; prints the new ids
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane rerun 0198f2a4-0000-7000-8000-000000000001
  tasklane ls --type report.generate --state succeeded -o id | xargs tasklane rerun

The old tasks stay what they are. To run a failed task itself again: tasklane retry.")]
pub(crate) struct Rerun {
    /// Which tasks
    #[arg(required = true, value_name = "ID", value_parser = task_id)]
    ids: Vec<String>,
}

impl Rerun {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let mut exit = Exit::Ok;
        for id in &self.ids {
            match remote.call(Call::post(["tasks", &format!("{id}:rerun")])).await {
                Ok(body) if output.is_for_people() => {
                    let task = Task::read(&body)?;
                    output.data(&task.id)?;
                    if output.watched {
                        output.note(Tone::Dim, &format!("the same as {id}; see it with: tasklane get {}", task.id));
                    }
                }
                Ok(body) => output.document(&body)?,
                // The others would fail the same way.
                Err(failure) if failure.exit == Exit::Away => return Err(failure),
                Err(failure) => {
                    exit = if exit == Exit::Ok { failure.exit } else { exit };
                    output.failure(&failure.about(id));
                }
            }
        }
        Ok(exit)
    }
}
