//! `tasklane submit`: hands in a task.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::follow;
use crate::interrupt;
use crate::limits::{self, Limit};
use crate::output::{Output, Tone};
use crate::payload;
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
    /// Which code handles it, such as report.generate
    #[arg(value_name = "TYPE")]
    task_type: String,
    /// The payload: name=value words, one JSON document, or - for standard input
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Read the payload from this file (- is standard input)
    #[arg(short, long, value_name = "FILE", conflicts_with = "words")]
    file: Option<PathBuf>,
    /// Wait for the end, at most so long, and print the result
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    wait: Option<Patience>,
    /// Wait for the end and tell meanwhile what happens: states, progress, log lines
    #[arg(long)]
    follow: bool,
    /// The queue it stands in
    #[arg(short, long)]
    queue: Option<String>,
    /// Higher runs first: -1000 to 1000, or low, normal, high, urgent
    #[arg(short, long, allow_hyphen_values = true)]
    priority: Option<String>,
    /// Not before this long from now, such as 90s, 5m, 1h30m
    #[arg(long, value_name = "DURATION", conflicts_with = "run_at")]
    delay: Option<String>,
    /// Not before this moment, such as 2026-12-01T08:00:00Z
    #[arg(long, value_name = "TIME")]
    run_at: Option<String>,
    /// Expires unless started by then (a moment or a duration)
    #[arg(long, value_name = "TIME")]
    start_deadline: Option<String>,
    /// Fails unless finished by then (a moment or a duration)
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Longest time of one attempt
    #[arg(long, value_name = "DURATION")]
    attempt_timeout: Option<String>,
    /// Longest silence of the handler
    #[arg(long, value_name = "DURATION")]
    heartbeat_timeout: Option<String>,
    /// How often it may be tried, the first time included
    #[arg(long, value_name = "N")]
    max_attempts: Option<u64>,
    /// Who the work is for
    #[arg(long)]
    tenant: Option<String>,
    /// A label to find it by; may be given again
    #[arg(short, long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// At most one unfinished task holds this key
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// What to do if the key is held: return the holder, reject, or replace its payload and time
    #[arg(long, value_enum, requires = "unique", value_name = "POLICY", hide_possible_values = true)]
    unique_policy: Option<UniquePolicy>,
    /// Of the tasks that name this key, at most so many run at a time; KEY alone names it and limits nothing
    #[arg(long = "limit", value_name = "KEY=N", value_parser = limits::of_key)]
    limits: Vec<Limit>,
    /// Of the tasks that name this key, at most so many start in any span of a time, such as smtp=100/1m
    #[arg(long = "rate", value_name = "KEY=N/TIME", value_parser = limits::rate_of_key)]
    rates: Vec<Limit>,
    /// Its id, a UUID; the same submit with the same id is harmless
    #[arg(long, value_name = "UUID", value_parser = task_id)]
    id: Option<String>,
    /// The same submit with the same key within a day is harmless
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// What to do if the unique key is held.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum UniquePolicy {
    /// Answer with the holder
    Return,
    /// Refuse
    Reject,
    /// Give the holder this payload and time
    Replace,
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
        let new = NewTask {
            task_type: &self.task_type,
            payload: payload::gather(&self.words, self.file.as_deref())?,
            id: self.id.as_deref(),
            queue: self.queue.as_deref(),
            priority: self.priority.as_deref().map(number_or_word),
            delay: self.delay.as_deref(),
            run_at: self.run_at.as_deref(),
            start_deadline: self.start_deadline.as_deref(),
            deadline: self.deadline.as_deref(),
            attempt_timeout: self.attempt_timeout.as_deref(),
            heartbeat_timeout: self.heartbeat_timeout.as_deref(),
            max_attempts: self.max_attempts,
            tenant: self.tenant.as_deref(),
            labels: labels(&self.labels)?,
            unique: self.unique.as_deref().map(|key| Unique { key, policy: self.unique_policy }),
            limits: limits::joined(self.limits.iter().chain(&self.rates)).map_err(Failure::usage)?,
        };
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

fn number_or_word(text: &str) -> serde_json::Value {
    text.parse::<i64>().map_or_else(|_| text.into(), Into::into)
}

fn labels(words: &[String]) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.into())),
        _ => Err(Failure::usage(format!("the label {word:?} is not name=value"))),
    };
    words.iter().map(pair).collect()
}

#[derive(Serialize)]
struct NewTask<'a> {
    #[serde(rename = "type")]
    task_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_deadline: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_timeout: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    labels: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<Unique<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Limit>,
}

#[derive(Serialize)]
struct Unique<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<UniquePolicy>,
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
        assert_eq!(parsed(&["t", "--wait", "n=1"]).words, ["n=1"]);
    }
}
