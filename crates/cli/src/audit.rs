//! `tasklane audit`: who changed what.

use clap::Args;
use serde_json::Value;
use tasklane_core::audit::Deed;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;
use tasklane_wire::audit::EntryShape;
use tasklane_wire::time;

use crate::failure::{Exit, Failure};
use crate::listing;
use crate::moment::relative;
use crate::output::{Output, Tone};
use crate::remote::Remote;
use crate::table::{Cell, Table};

/// Tell who changed keys, schedules, queues and gates, and who was refused, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane audit
  tasklane audit -o ndjson | gzip > audit.ndjson.gz
  tasklane audit -o ndjson | jq 'select(.action == \"access.refused\")'

With -o ndjson a line has what was before and after. Lines are kept for 400 days.")]
pub(crate) struct Audit {}

impl Audit {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let now = MachineClock::start().wall();
        let nothing = "nobody changed anything yet, and nobody was refused";
        listing::show(remote, output, "audit", nothing, |entries: Vec<EntryShape>| table(&entries, now)).await
    }
}

fn table(entries: &[EntryShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["WHEN", "WHO", "FROM", "ACTION", "TARGET", "BECAME"]);
    for it in entries {
        let action =
            serde_json::to_value(it.action).ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default();
        let tone = if it.action == Deed::AccessRefused { Tone::Bad } else { Tone::Plain };
        table.row([
            Cell::from(&relative(&time::format(it.at), now)),
            it.who.as_str().into(),
            it.from.as_deref().unwrap_or("-").into(),
            Cell::new(tone, action),
            it.target.as_str().into(),
            it.after.as_ref().map_or_else(|| "-".to_owned(), Value::to_string).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;
    use crate::task::read;

    #[test]
    fn a_line_is_a_row() {
        let now = time::parse("2026-01-31T12:00:00Z").unwrap();
        let entry = r#"{"id":"0192f0c1-2345-7abc-8def-0123456789ab","at":"2026-01-31T11:00:00Z","who":"operator",
            "from":"10.0.0.7","action":"queue.controlled","target":"mail","before":{"state":"active"},"after":{"state":"paused"}}"#;
        let lines = table(&[read(entry.as_bytes()).unwrap()], now).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["1h", "ago", "operator", "10.0.0.7", "queue.controlled", "mail", r#"{"state":"paused"}"#]);
    }
}
