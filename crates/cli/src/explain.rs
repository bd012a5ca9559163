//! `tasklane explain`: what a problem's code means, without a server.

use clap::Args;
use serde::Serialize;
use tasklane_server::codes::{self, Explanation};
use tasklane_server::config::nearest;

use crate::failure::{Exit, Failure, exit_of};
use crate::output::{Output, Tone};
use crate::table::{Cell, Table};

/// Explain the code of a problem: its cause and what to do; works without a server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane explain unique_held
  tasklane explain

Without a code it lists all of them.")]
pub(crate) struct Explain {
    /// Which code, as an error shows it in brackets
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// An explanation, for programs.
#[derive(Serialize)]
struct Told {
    code: &'static str,
    status: u16,
    title: &'static str,
    cause: &'static str,
    remedy: &'static str,
    exit_code: u8,
}

impl Explain {
    pub(crate) fn run(self, output: &Output) -> Result<Exit, Failure> {
        match &self.code {
            Some(code) => one(find(code)?, output)?,
            None => all(output)?,
        }
        Ok(Exit::Ok)
    }
}

fn find(text: &str) -> Result<Explanation, Failure> {
    // As an error shows it, or as the end of a problem's `type`.
    let text = text.trim().trim_matches(['[', ']']);
    let code = text.rsplit('/').next().unwrap_or(text).to_lowercase().replace('-', "_");
    codes::explain(&code).ok_or_else(|| {
        let near = nearest::of(&code, codes::all().map(|it| it.code.code));
        let remedy = near.map_or_else(
            || "list them: tasklane explain".to_owned(),
            |it| format!("is {it} meant? tasklane explain {it}"),
        );
        Failure::new(Exit::NotFound, format!("there is no code {code:?}")).remedy(remedy)
    })
}

fn told(it: Explanation) -> Told {
    let Explanation { code, cause, remedy } = it;
    let exit_code = exit_of(code.status, Some(code.code)) as u8;
    Told { code: code.code, status: code.status, title: code.title, cause, remedy, exit_code }
}

fn one(explanation: Explanation, output: &Output) -> Result<(), Failure> {
    let told = told(explanation);
    if !output.is_for_people() {
        let json = serde_json::to_vec(&told).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        return output.document(&json);
    }
    let heading = format!("{} ({}, HTTP {}, exit code {})", told.title, told.code, told.status, told.exit_code);
    [heading, String::new(), format!("cause:  {}", told.cause), format!("remedy: {}", told.remedy)]
        .iter()
        .try_for_each(|line| output.data(line))
}

fn all(output: &Output) -> Result<(), Failure> {
    let all: Vec<_> = codes::all().map(told).collect();
    if !output.is_for_people() {
        return output.values(&all);
    }
    let mut table = Table::new(&["CODE", "STATUS", "EXIT", "WHAT"]);
    for it in &all {
        let numbers = [it.status.to_string(), it.exit_code.to_string()].map(Cell::from);
        table.row([Cell::from(it.code)].into_iter().chain(numbers).chain([Cell::new(Tone::Plain, it.title)]));
    }
    output.table(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_is_found_however_it_was_copied() {
        for text in ["unique_held", "[unique_held]", "/docs/errors/unique_held", "UNIQUE-HELD"] {
            assert_eq!(find(text).unwrap().code.code, "unique_held", "{text}");
        }
        let failure = find("unique_hold").unwrap_err();
        assert!(failure.remedy.is_some_and(|it| it.contains("unique_held")));
    }
}
