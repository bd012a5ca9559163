//! `tasklane stats`: a server in numbers.

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::shape::json::{Level, level};
use crate::table::{Cell, Table};

/// Show a server in numbers: tasks by state, rates, workers, the store
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane stats
  tasklane stats --field tasks.queued,tasks.running
  tasklane stats -o yaml")]
pub(crate) struct Stats;

impl Stats {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let body = remote.call(Call::get(["stats"])).await.map_err(|failure| failure.or_too_old("tell its numbers"))?;
        if output.is_for_people() {
            let mut table = Table::plain();
            for (name, value) in flat(&String::from_utf8_lossy(&body))? {
                table.row([Cell::new(Tone::Dim, name), value.into()]);
            }
            output.table(&table)?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

/// Every value with the names that lead to it; whatever a server tells is shown.
pub(crate) fn flat(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut rows = Vec::new();
    walk("", text, &mut rows)?;
    Ok(rows)
}

fn walk(name: &str, text: &str, rows: &mut Vec<(String, String)>) -> Result<(), Failure> {
    match level(text)? {
        Level::Object(members) => {
            for (inner, value) in members {
                let name = if name.is_empty() { inner } else { format!("{name} {inner}") };
                walk(&name, value.get(), rows)?;
            }
        }
        Level::Array(items) => rows.push((name.to_owned(), items.len().to_string())),
        Level::Text(text) => rows.push((name.to_owned(), text)),
        Level::Other(text) => rows.push((name.to_owned(), text.to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_is_told_is_shown() {
        let rows = flat(r#"{"tasks":{"queued":3},"uptime":"5m","rates":{"per_second":1.50},"list":[1,2]}"#).unwrap();
        let shown: Vec<_> = rows.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["tasks queued=3", "uptime=5m", "rates per_second=1.50", "list=2"]);
    }
}
