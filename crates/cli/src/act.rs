//! One action on several tasks: each stands alone, the first failure names the exit code.

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Call, Remote};
use crate::table::Table;
use crate::task::{Task, state_cell};

/// Does `action` (`cancel`, `retry`) to each task and shows what became of it.
pub(crate) async fn on_each(ids: &[String], action: &str, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for id in ids {
        match remote.call(Call::post(["tasks", &format!("{id}:{action}")])).await {
            Ok(body) => show(&body, output)?,
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

fn show(body: &[u8], output: &Output) -> Result<(), Failure> {
    if !output.is_for_people() {
        return output.document(body);
    }
    let task = Task::read(body)?;
    let mut table = Table::plain();
    let note = if task.cancel_requested && !task.is_final() { "asked to stop" } else { "" };
    table.row([task.id.as_str().into(), state_cell(&task.state), note.into()]);
    output.table(&table)
}
