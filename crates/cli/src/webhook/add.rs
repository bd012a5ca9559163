//! What is said of a webhook on the command line.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::Which;
use crate::failure::Failure;
use crate::remote::json;

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Where events are sent
    #[arg(value_name = "URL")]
    to: String,
    #[command(flatten)]
    said: Said,
    /// Whose tasks it is told of
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    pub(super) webhook: Which,
    /// Where events are sent
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
struct Said {
    /// What for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Of what it is told, such as task.failed; may be given again
    #[arg(short, long = "event", value_name = "NAME")]
    events: Vec<String>,
    /// Only of tasks of this queue
    #[arg(short, long)]
    queue: Option<String>,
    /// Only of tasks of this type
    #[arg(short, long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// Only of tasks with this label; may be given again
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A header of every call; may be given again
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Bodies are those of CloudEvents 1.0
    #[arg(long)]
    cloudevents: bool,
    /// How many deliveries may be on their way at once
    #[arg(long, value_name = "N")]
    max_running: Option<u32>,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

#[derive(Serialize)]
struct Filter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is no label; write it like key=value"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "write a header like 'Name: value'".to_owned())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Said {
    fn request<'a>(&'a self, url: Option<&'a str>) -> Request<'a> {
        let pairs = |all: &'a [(String, String)]| all.iter().map(|(key, value)| (&**key, &**value)).collect();
        let (queue, task_type, labels) = (self.queue.as_deref(), self.task_type.as_deref(), pairs(&self.labels));
        let filter = Filter { queue, task_type, labels };
        let has_filter = filter.queue.is_some() || filter.task_type.is_some() || !filter.labels.is_empty();
        Request {
            url,
            description: self.description.as_deref(),
            events: &self.events,
            filter: has_filter.then_some(filter),
            headers: pairs(&self.headers),
            format: self.cloudevents.then_some("cloudevents"),
            max_running: self.max_running,
            tenant: None,
        }
    }
}

impl Add {
    pub(super) fn request(&self) -> Result<Vec<u8>, Failure> {
        json(&Request { tenant: self.tenant.as_deref(), ..self.said.request(Some(&self.to)) })
    }
}

impl Set {
    pub(super) fn request(&self) -> Result<Vec<u8>, Failure> {
        json(&self.said.request(self.to.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: super::Add,
    }

    #[test]
    fn options_become_members() {
        let words = [
            "x",
            "https://a",
            "-e",
            "task.failed",
            "--queue",
            "q",
            "--label",
            "a=b=c",
            "--header",
            "X-A: b:c",
            "--cloudevents",
        ];
        let request = Line::try_parse_from(words).unwrap().add.request().unwrap();
        let want = r#"{"url":"https://a","events":["task.failed"],"filter":{"queue":"q","labels":{"a":"b=c"}},"headers":{"X-A":"b:c"},"format":"cloudevents"}"#;
        assert_eq!(String::from_utf8(request).unwrap(), want);
        assert!(Line::try_parse_from(["x", "https://a", "--header", "nothing"]).is_err());
    }
}
