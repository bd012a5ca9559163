//! `tasklane schedule add` and `set`.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::times::{Manner, Times};
use crate::failure::Failure;
use crate::named::Named;
use crate::new_task::{Description, NewTask};
use crate::remote::json;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("required").args(["cron", "every", "at"]).required(true)))]
pub(crate) struct Add {
    /// Its name; no other one of the tenant has it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    manner: Manner,
    /// Nothing comes of its slots until it is resumed
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    task: Description,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(super) schedule: Named,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    manner: Manner,
    /// What each slot makes, whole, as the JSON of a new task
    #[arg(long, value_name = "JSON")]
    task: Option<String>,
}

#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    #[serde(flatten)]
    rule: Map<String, Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    task: NewTask<'a>,
}

#[derive(Serialize)]
struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    rule: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Box<RawValue>>,
}

impl Add {
    /// The JSON of `POST /v1/schedules`.
    pub(super) fn request(&self) -> Result<Vec<u8>, Failure> {
        let rule = self.times.members().into_iter().chain(self.manner.members()).collect();
        json(&New { name: &self.name, rule, paused: self.paused, task: self.task.members()? })
    }
}

impl Set {
    /// The JSON of `PATCH /v1/schedules/{schedule}`.
    pub(super) fn request(&self) -> Result<Vec<u8>, Failure> {
        let rule: Map<_, _> = self.times.members().into_iter().chain(self.manner.members()).collect();
        let task = self.task.clone().map(RawValue::from_string).transpose();
        let task = task.map_err(|error| Failure::usage(format!("--task is no JSON: {error}")))?;
        if rule.is_empty() && task.is_none() && self.name.is_none() {
            return Err(Failure::usage("nothing is said that could change; see --help".to_owned()));
        }
        json(&Change { name: self.name.as_deref(), rule, task })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::super::{Action, Schedule};
    use crate::arguments::{Arguments, Command};

    fn request(words: &[&str]) -> Result<String, String> {
        let words = ["tasklane", "schedule"].iter().chain(words);
        let parsed = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let body = match parsed.command {
            Command::Schedule(Schedule { action: Action::Add(it) }) => it.request(),
            Command::Schedule(Schedule { action: Action::Set(it) }) => it.request(),
            other => panic!("{other:?}"),
        };
        body.map(|it| String::from_utf8(it).unwrap()).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn options_become_members() {
        let words = [
            "add",
            "n",
            "--cron",
            "@daily",
            "--timezone",
            "Asia/Tokyo",
            "--overlap",
            "queue_one",
            "--missed",
            "all",
            "--missed-cap",
            "5",
            "--jitter",
            "10s",
            "--paused",
            "t",
            "day={slot.date}",
            "--queue",
            "q",
        ];
        let want = concat!(
            r#"{"name":"n","cron":"@daily","jitter":"10s","missed":{"cap":5,"policy":"all"},"overlap":"queue_one","#,
            r#""timezone":"Asia/Tokyo","paused":true,"task":{"type":"t","payload":{"day":"{slot.date}"},"queue":"q"}}"#
        );
        assert_eq!(request(&words).unwrap(), want);
        let words = ["set", "n", "--name", "m", "--ends-at", "none", "--task", r#"{"type": "t"}"#];
        assert_eq!(request(&words).unwrap(), r#"{"name":"m","ends_at":null,"task":{"type": "t"}}"#);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["add", "n", "t"][..],
            &["add", "n", "--cron", "@daily", "--every", "1h", "t"],
            &["set", "n"],
            &["set", "n", "--task", "{"],
            &["set", "n", "--overlap", "often"],
        ] {
            assert!(request(words).is_err(), "{words:?}");
        }
    }
}
