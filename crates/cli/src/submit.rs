//! `tasklane submit`: hands in a task.

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::follow;
use crate::interrupt;
use crate::new_task::Description;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, task_id};
use crate::task::{Task, state_cell};
use crate::wait::{self, Patience};

/// Submit a task and print its id
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane submit report_generation report_type=weekly pages=3 --wait
  tasklane submit video_processing video_length=3 --follow
  tasklane submit mail.send -f mail.json --queue mail --priority high
  echo '{\"n\": 1}' | tasklane submit count - --delay 10m --max-attempts 5
  tasklane submit invoice.pay '{\"invoice\":17}' --idempotency-key invoice-17
  tasklane submit mail.send -f mail.json --limit smtp=3 --rate smtp=100/1m

A value is JSON where it is JSON (pages=3, on=true, list=[1,2]), else a string. With --wait the result is printed;
the exit code is 3 if the task does not succeed, 6 if it is not finished in the given time.")]
pub(crate) struct Submit {
    #[command(flatten)]
    task: Description,
    /// Wait for the end, at most so long, and print the result
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    wait: Option<Patience>,
    /// Wait for the end and tell meanwhile what happens: states, progress, log lines
    #[arg(long)]
    follow: bool,
    /// Not before this long from now, such as 90s, 5m, 1h30m
    #[arg(long, value_name = "DURATION", conflicts_with = "run_at")]
    delay: Option<String>,
    /// Not before this moment, such as 2026-12-01T08:00:00Z
    #[arg(long, value_name = "TIME")]
    run_at: Option<String>,
    /// Its id, a UUID; the same submit with the same id is harmless
    #[arg(long, value_name = "UUID", value_parser = task_id)]
    id: Option<String>,
    /// The same submit with the same key within a day is harmless
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Submit {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let body = self.request()?;
        let call = Call::post(["tasks"]).header("idempotency-key", self.idempotency_key.clone()).json(body);
        let body = remote.call(call).await?;
        let task = Task::read(&body)?;
        let patience = match (self.wait, self.follow) {
            (Some(patience), _) => patience,
            (None, true) => Patience::Endless,
            (None, false) => return accepted(output, &body, &task),
        };
        if output.watched || self.follow {
            output.note(Tone::Dim, &format!("task {}", task.id));
        }
        let ended = if self.follow {
            let goes_on = format!("stopped following; task {} goes on (tasklane watch {0})", task.id);
            interrupt::or(&goes_on, follow::ended(remote, output, &task.id, patience)).await?
        } else {
            wait::ended(remote, output, &task.id, patience).await?
        };
        wait::show(output, &ended)
    }

    /// The JSON of `POST /v1/tasks`.
    fn request(&self) -> Result<Vec<u8>, Failure> {
        let mut new = self.task.members()?;
        new.id = self.id.as_deref();
        (new.delay, new.run_at) = (self.delay.as_deref(), self.run_at.as_deref());
        serde_json::to_vec(&new).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
    }
}

fn accepted(output: &Output, body: &[u8], task: &Task) -> Result<Exit, Failure> {
    if output.is_for_people() {
        output.data(&task.id)?;
        if output.watched {
            let line = format!("{}; see it with: tasklane get {}", state_cell(&task.state).text(), task.id);
            output.note(Tone::Dim, &line);
        }
    } else {
        output.document(body)?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(words: &[&str]) -> Submit {
        let words = ["tasklane", "submit"].iter().chain(words);
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Submit(submit) => *submit,
            other => panic!("{other:?}"),
        }
    }

    fn request(words: &[&str]) -> String {
        String::from_utf8(parsed(words).request().unwrap()).unwrap()
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        assert_eq!(request(&["t"]), r#"{"type":"t"}"#);
        assert_eq!(request(&["t", "n=1"]), r#"{"type":"t","payload":{"n":1}}"#);
    }

    #[test]
    fn options_become_members() {
        let words = ["t", "--queue", "q", "--priority", "-5", "--label", "a=b", "--unique", "k", "--max-attempts", "7"];
        let want = concat!(
            r#"{"type":"t","queue":"q","priority":-5,"max_attempts":7,"labels":{"a":"b"},"#,
            r#""unique":{"key":"k"}}"#
        );
        assert_eq!(request(&words), want);
        let words = ["t", "--limit", "k=3", "--rate", "k=5/1s", "--limit", "open"];
        let want =
            r#"{"type":"t","limits":[{"key":"k","max_running":3,"rate":{"count":5,"per":"1s"}},{"key":"open"}]}"#;
        assert_eq!(request(&words), want);
        assert_eq!(parsed(&["t", "--limit", "k=1", "--limit", "k=2"]).request().unwrap_err().exit, Exit::Usage);
        assert_eq!(request(&["t", "-p", "high"]), r#"{"type":"t","priority":"high"}"#);
    }

    #[test]
    fn wait_takes_no_time_or_one_after_an_equals_sign() {
        assert_eq!(parsed(&["t"]).wait, None);
        assert_eq!(parsed(&["t", "--wait"]).wait, Some(Patience::Endless));
        let submit = parsed(&["t", "--wait=5s", "n=1"]);
        assert_eq!(submit.wait, Some(Patience::For(std::time::Duration::from_secs(5))));
        assert_eq!(parsed(&["t", "--wait", "n=1"]).task.words, ["n=1"]);
    }
}
