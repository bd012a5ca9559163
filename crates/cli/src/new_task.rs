//! A new task as the command line describes it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::limits::{self, Limit};
use crate::payload;

/// What is said of a new task, whether it is submitted or made by a schedule.
#[derive(Debug, Args)]
pub(crate) struct Description {
    /// Which code handles it, such as report.generate
    #[arg(value_name = "TYPE")]
    task_type: String,
    /// The payload: name=value words, one JSON document, or - for standard input
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) words: Vec<String>,
    /// Read the payload from this file (- is standard input)
    #[arg(short, long, value_name = "FILE", conflicts_with = "words")]
    file: Option<PathBuf>,
    /// The queue it stands in
    #[arg(short, long)]
    queue: Option<String>,
    /// Higher runs first: -1000 to 1000, or low, normal, high, urgent
    #[arg(short, long, allow_hyphen_values = true)]
    priority: Option<String>,
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

impl Description {
    /// The members of the new task.
    pub(crate) fn members(&self) -> Result<NewTask<'_>, Failure> {
        Ok(NewTask {
            task_type: &self.task_type,
            payload: payload::gather(&self.words, self.file.as_deref())?,
            id: None,
            queue: self.queue.as_deref(),
            priority: self.priority.as_deref().map(number_or_word),
            delay: None,
            run_at: None,
            start_deadline: self.start_deadline.as_deref(),
            deadline: self.deadline.as_deref(),
            attempt_timeout: self.attempt_timeout.as_deref(),
            heartbeat_timeout: self.heartbeat_timeout.as_deref(),
            max_attempts: self.max_attempts,
            tenant: self.tenant.as_deref(),
            labels: labels(&self.labels)?,
            unique: self.unique.as_deref().map(|key| Unique { key, policy: self.unique_policy }),
            limits: limits::joined(self.limits.iter().chain(&self.rates)).map_err(Failure::usage)?,
        })
    }
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

/// A new task as `/v1` takes it; what was not said is not sent.
#[derive(Debug, Serialize)]
pub(crate) struct NewTask<'a> {
    #[serde(rename = "type")]
    task_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_at: Option<&'a str>,
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

#[derive(Debug, Serialize)]
struct Unique<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<UniquePolicy>,
}
