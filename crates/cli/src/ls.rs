//! `tasklane ls`: tasks, newest first.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use tasklane_core::limit::PAGE_ITEMS;
use tasklane_core::ports::clock::Clock;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;

use crate::failure::{Exit, Failure};
use crate::moment::relative;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::table::{Cell, Table};
use crate::task::{Task, read, state_cell};

/// List tasks, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane ls
  tasklane ls --state failed --queue mail --limit 20
  tasklane ls --label customer=c-17
  tasklane ls --type report.generate -o id")]
pub(crate) struct Ls {
    /// In this state
    #[arg(short, long, value_parser = states())]
    state: Option<String>,
    /// Of this type
    #[arg(short, long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// In this queue
    #[arg(short, long)]
    queue: Option<String>,
    /// With this label; may be given again
    #[arg(short, long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Whose id begins with this, or whose type, unique key or a label is this
    #[arg(long = "search", value_name = "TEXT")]
    q: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Most tasks
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

/// `name=value`, as the query of a list names it.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((format!("label.{name}"), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

/// Every state there is, so that a misspelt one is told what it may be.
fn states() -> clap::builder::PossibleValuesParser {
    State::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().into()
}

/// Some tasks, and where there are more.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl Ls {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let page = self.gather(remote).await?;
        if output.is_for_people() {
            if page.items.is_empty() {
                output.note(Tone::Dim, "no tasks; submit one: tasklane submit report_generation pages=3 --wait");
                return Ok(Exit::Ok);
            }
            output.table(&table(&page.items, MachineClock::start().wall())?)?;
        } else {
            output.items(&page.items, || document(&page))?;
        }
        if let (Some(cursor), false) = (&page.next_cursor, output.is_whole()) {
            output.note(Tone::Dim, &format!("there are more: add --cursor {cursor}"));
        }
        Ok(Exit::Ok)
    }

    /// Pages until there are as many as asked for: a page may be short where the server looked at enough rows.
    async fn gather(&self, remote: &Remote) -> Result<Page, Failure> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut all = Page { items: Vec::new(), next_cursor: self.cursor.clone() };
        loop {
            let limit = (most - all.items.len()).min(PAGE_ITEMS);
            let call = Call::get(["tasks"])
                .query("state", self.state.as_ref())
                .query("type", self.task_type.as_ref())
                .query("queue", self.queue.as_ref())
                .query("tenant", self.tenant.as_ref())
                .query("q", self.q.as_ref())
                .query("limit", Some(limit))
                .query("cursor", all.next_cursor.take());
            let call = self.labels.iter().fold(call, |call, (name, value)| call.query(name, Some(value)));
            let page: Page = read(&remote.call(call).await?)?;
            all.items.extend(page.items);
            all.next_cursor = page.next_cursor;
            if all.next_cursor.is_none() || all.items.len() >= most {
                return Ok(all);
            }
        }
    }
}

/// The page as the server would have written it, had it been one.
fn document(page: &Page) -> String {
    let items = page.items.iter().map(|it| it.get()).collect::<Vec<_>>().join(",");
    let cursor =
        page.next_cursor.as_ref().map(|it| format!(",\"next_cursor\":{}", serde_json::Value::from(it.as_str())));
    format!("{{\"items\":[{items}]{}}}", cursor.unwrap_or_default())
}

fn table(items: &[Box<RawValue>], now: Timestamp) -> Result<Table, Failure> {
    let mut table = Table::new(&["ID", "TYPE", "QUEUE", "STATE", "ATTEMPT", "CREATED"]);
    for item in items {
        let task = Task::read(item.get().as_bytes())?;
        let (attempts, created) = (task.attempts(), relative(&task.created_at, now));
        let names = [&task.id, &task.task_type, &task.queue].map(Cell::from);
        table.row(names.into_iter().chain([state_cell(&task.state), attempts.into(), created.into()]));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;

    const TASK: &str = r#"{"id":"i","type":"t","queue":"q","state":"queued","attempt":0,"max_attempts":3,"created_at":"2026-01-31T11:00:00Z"}"#;

    #[test]
    fn pages_are_joined_into_one_document() {
        let item = || RawValue::from_string(TASK.into()).unwrap();
        let page = Page { items: vec![item(), item()], next_cursor: Some("a\"b".into()) };
        assert_eq!(document(&page), format!("{{\"items\":[{TASK},{TASK}],\"next_cursor\":\"a\\\"b\"}}"));
        assert_eq!(document(&Page { items: vec![], next_cursor: None }), r#"{"items":[]}"#);
    }

    #[test]
    fn a_task_is_a_row() {
        let now = tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap();
        let lines = table(&[RawValue::from_string(TASK.into()).unwrap()], now).unwrap().lines(Paint::Text);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["i", "t", "q", "·", "queued", "0/3", "1h", "ago"]);
    }
}
