//! `tasklane watch`: what happens, as it happens.

use std::ops::ControlFlow;

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::follow;
use crate::interrupt;
use crate::output::{Output, Tone};
use crate::remote::{Remote, task_id};
use crate::stream::Event;
use crate::told::Told;

/// Show what happens to tasks, as it happens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane watch
  tasklane watch 0198f2a4-0000-7000-8000-000000000001
  tasklane watch --queue mail --count 10 -o ndjson

One task is watched until it ends, with its progress and log lines; the exit code is 3 if it does not succeed. Without
an id every task is watched until Ctrl-C.")]
pub(crate) struct Watch {
    /// Which task; all of them where none is named
    #[arg(value_name = "ID", value_parser = task_id)]
    id: Option<String>,
    /// Only tasks of this queue
    #[arg(short, long, conflicts_with = "id")]
    queue: Option<String>,
    /// Only tasks of this type
    #[arg(short, long = "type", value_name = "TYPE", conflicts_with = "id")]
    task_type: Option<String>,
    /// Only tasks of this tenant
    #[arg(long, conflicts_with = "id")]
    tenant: Option<String>,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let ended = interrupt::or("stopped watching; the tasks go on", self.watch(remote, output)).await;
        ended.map_err(|failure| failure.or_too_old("tell what happens"))
    }

    async fn watch(&self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let Some(id) = &self.id else {
            self.events(remote, output, &["events"], &self.query()).await?;
            return Ok(Exit::Ok);
        };
        let state = self.events(remote, output, &["tasks", id, "events"], &[]).await?;
        Ok(state.as_deref().map_or(Exit::Ok, exit_of))
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let wishes = [("queue", &self.queue), ("type", &self.task_type), ("tenant", &self.tenant)];
        wishes.into_iter().filter_map(|(name, wish)| Some((name, wish.clone()?))).collect()
    }

    /// Shows the events; answers with the final state of the one task that is watched.
    async fn events(
        &self,
        remote: &Remote,
        output: &Output,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Option<String>, Failure> {
        let (mut left, mut state) = (self.count.unwrap_or(u64::MAX), None);
        follow::events(remote, path, query, |event| {
            let told = Told::of(event).unwrap_or_default();
            state = told.ended().map(str::to_owned).or(state.take());
            if event.name == "reset" {
                output.note(Tone::Careful, "the server no longer knows where this was; some events are missing");
            } else if self.show(output, event, &told)? {
                left -= 1;
            }
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
        Ok(state)
    }

    /// Whether there was anything to show.
    fn show(&self, output: &Output, event: &Event, told: &Told) -> Result<bool, Failure> {
        let Some(mut cells) = told.cells() else { return Ok(false) };
        if !output.is_for_people() {
            return output.item(&event.data).map(|()| true);
        }
        if self.id.is_none() {
            let names = [&told.task, &told.task_type, &told.queue].map(|it| it.clone().unwrap_or_default().into());
            cells.splice(1..1, names);
        }
        follow::print(output, cells).map(|()| true)
    }
}

fn exit_of(state: &str) -> Exit {
    if state == "succeeded" { Exit::Ok } else { Exit::TaskFailed }
}
