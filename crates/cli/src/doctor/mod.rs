//! `tasklane doctor`: a line a check, and a remedy for everything that is not as it should be.

mod machine;
mod server;

use clap::Args;
use serde::Serialize;
use tasklane_server::{Environment, Settings};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::Remote;
use crate::table::{Cell, Table};

/// Look at settings, server, clock, disk, workers and queues, and say what to do about each
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane doctor
  tasklane doctor --url http://10.0.0.7:8000 -o json

The exit code is 1 if a check failed, 69 if there is no server. What is only worth a look does not count.")]
pub(crate) struct Doctor;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Good,
    WorthALook,
    Bad,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    name: &'static str,
    verdict: Verdict,
    finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn good(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, finding: finding.into(), remedy: None }
    }

    fn look(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name, verdict: Verdict::WorthALook, finding: finding.into(), remedy }
    }

    fn bad(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::look(name, finding, remedy) }
    }

    /// A check that could not be made.
    fn of_failure(name: &'static str, failure: &Failure) -> Self {
        let remedy = failure.remedy.as_deref().unwrap_or("see `tasklane explain` for its code");
        Self::bad(name, failure.cause.clone().unwrap_or_default(), remedy)
    }
}

impl Doctor {
    pub(crate) async fn run(
        self,
        remote: &Remote,
        settings: &Settings,
        environment: &Environment,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let mut checks = machine::checks(remote, settings, environment);
        let away = server::checks(remote, &mut checks).await;
        show(&checks, output)?;
        let exit = match (away, checks.iter().any(|it| it.verdict == Verdict::Bad)) {
            (Some(exit), _) => exit,
            (None, true) => Exit::Failed,
            (None, false) => Exit::Ok,
        };
        Ok(exit)
    }
}

fn show(checks: &[Check], output: &Output) -> Result<(), Failure> {
    if output.is_for_people() { output.table(&table(checks)) } else { output.values(checks) }
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::plain();
    for check in checks {
        let (symbol, tone) = match check.verdict {
            Verdict::Good => ("✓", Tone::Good),
            Verdict::WorthALook => ("!", Tone::Careful),
            Verdict::Bad => ("✗", Tone::Bad),
        };
        table.row([Cell::new(tone, symbol), check.name.into(), Cell::from(&check.finding)]);
        if let Some(remedy) = &check.remedy {
            table.row(["".into(), Cell::new(Tone::Dim, "fix:"), Cell::from(remedy)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;

    #[test]
    fn a_check_is_a_line_and_its_remedy_another() {
        let checks = [Check::good("server", "answers"), Check::bad("disk", "full", "free some")];
        assert_eq!(
            table(&checks).lines(Paint::Text),
            ["✓  server  answers", "✗  disk    full", "   fix:    free some"]
        );
    }
}
