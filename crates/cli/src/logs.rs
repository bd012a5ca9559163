//! `tasklane logs`: what a task's handlers said.

use std::ops::ControlFlow;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::follow;
use crate::interrupt;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, task_id};
use crate::task::read;
use crate::told::Told;

/// Show what a task's handlers said
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane logs 0198f2a4-0000-7000-8000-000000000001
  tasklane logs 0198f2a4-0000-7000-8000-000000000001 --follow
  tasklane logs 0198f2a4-0000-7000-8000-000000000001 --attempt 2 -o ndjson | jq -r .message")]
pub(crate) struct Logs {
    /// Which task
    #[arg(value_name = "ID", value_parser = task_id)]
    id: String,
    /// Go on until the task ends
    #[arg(short, long)]
    follow: bool,
    /// Only of this attempt
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Only of this level and above: debug, info, warn or error
    #[arg(long)]
    level: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl Logs {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let done = if self.follow {
            interrupt::or("stopped following; the task goes on", self.go_on(remote, output)).await
        } else {
            self.once(remote, output).await
        };
        done.map_err(|failure| failure.or_too_old("keep log lines")).map(|()| Exit::Ok)
    }

    async fn once(&self, remote: &Remote, output: &Output) -> Result<(), Failure> {
        let (mut cursor, mut lines) = (None, 0);
        loop {
            let call = Call::get(["tasks", &self.id, "logs"]).query("cursor", cursor);
            let call = call.query("attempt", self.attempt).query("level", self.level.as_ref());
            let page: Page = read(&remote.call(call).await?)?;
            for item in &page.items {
                lines += u64::from(self.show(output, item.get())?);
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if lines == 0 {
            output.note(Tone::Dim, "no log lines");
        }
        Ok(())
    }

    async fn go_on(&self, remote: &Remote, output: &Output) -> Result<(), Failure> {
        let path = ["tasks", &self.id, "logs"];
        let wishes = [("attempt", self.attempt.map(|it| it.to_string())), ("level", self.level.clone())];
        let mut query = vec![("follow", "true".to_owned())];
        query.extend(wishes.into_iter().filter_map(|(name, wish)| Some((name, wish?))));
        follow::events(remote, &path, &query, |event| {
            self.show(output, &event.data)?;
            Ok(ControlFlow::Continue(()))
        })
        .await
    }

    /// Whether it was a line.
    fn show(&self, output: &Output, json: &str) -> Result<bool, Failure> {
        let Some(cells) = Told::read(json).and_then(|it| it.cells()) else { return Ok(false) };
        if output.is_for_people() { follow::print(output, cells) } else { output.item(json) }.map(|()| true)
    }
}
