//! `tasklane why`: what a task waits for, and what would let it start.

use clap::Args;
use serde::Deserialize;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;

use crate::failure::{Exit, Failure};
use crate::moment::relative;
use crate::output::Output;
use crate::remote::{Call, Remote, task_id};
use crate::table::visible;
use crate::task::{read, state_cell};

/// Say why a task is not running, and what would let it run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane why 0198f2a4-0000-7000-8000-000000000001
  tasklane why 0198f2a4-0000-7000-8000-000000000001 -o json")]
pub(crate) struct Why {
    /// Which task
    #[arg(value_name = "ID", value_parser = task_id)]
    id: String,
}

#[derive(Deserialize)]
struct Answer {
    state: Option<String>,
    #[serde(default)]
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    remedy: String,
    opens_at: Option<String>,
}

impl Why {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let body = remote.call(Call::get(["tasks", &self.id, "why"])).await?;
        if output.is_for_people() {
            let lines = lines(&read(&body)?, MachineClock::start().wall());
            lines.iter().try_for_each(|line| output.data(line))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

fn lines(answer: &Answer, now: Timestamp) -> Vec<String> {
    let state = answer.state.as_deref().unwrap_or("unfinished");
    if answer.reasons.is_empty() {
        return vec![format!("{}: nothing stands in its way", state_cell(state).text())];
    }
    let mut lines = vec![state_cell(state).text().to_owned()];
    for reason in &answer.reasons {
        let opens = reason.opens_at.as_ref().map(|at| format!(" (opens {})", relative(at, now)));
        lines.push(format!("- {}{}", visible(&reason.message), opens.unwrap_or_default()));
        if !reason.remedy.is_empty() {
            lines.push(format!("    {}", visible(&reason.remedy)));
        }
        if reason.code == "gate_full" {
            lines.push("    see and change it: tasklane gate ls, tasklane gate set".to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(body: &str) -> Vec<String> {
        let now = tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap();
        lines(&read(body.as_bytes()).unwrap(), now)
    }

    #[test]
    fn every_reason_is_told_with_what_opens_it() {
        let body = r#"{"id":"i","state":"scheduled","reasons":[
            {"code":"not_due","message":"its time has not come","remedy":"wait","opens_at":"2026-01-31T12:10:00Z"},
            {"code":"queue_paused","message":"queue q is paused","remedy":"tasklane queue resume q"}]}"#;
        assert_eq!(
            told(body),
            [
                "◷ scheduled",
                "- its time has not come (opens in 10m)",
                "    wait",
                "- queue q is paused",
                "    tasklane queue resume q",
            ]
        );
    }

    #[test]
    fn a_full_gate_leads_to_its_commands() {
        let body = r#"{"state":"blocked","reasons":[{"code":"gate_full","message":"the gate of key \"k\" lets 1",
            "remedy":"it opens by itself"}]}"#;
        let last = "    see and change it: tasklane gate ls, tasklane gate set";
        assert_eq!(told(body), ["‖ blocked", "- the gate of key \"k\" lets 1", "    it opens by itself", last]);
    }

    #[test]
    fn no_reason_is_said_too() {
        assert_eq!(told(r#"{"state":"running","reasons":[]}"#), ["▶ running: nothing stands in its way"]);
    }
}
