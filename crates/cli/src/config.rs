//! `tasklane config`: the settings of a server: what holds, what there is.

use clap::{Args, Subcommand};
use serde::Serialize;
use tasklane_server::config::flags::{All, FlagsOf};
use tasklane_server::config::production::{Missing, missing_from};
use tasklane_server::config::settings::{Found, Origin};
use tasklane_server::config::{self, log::Log, reference, schema};
use tasklane_server::{Config as Checked, Environment, Settings, StartError};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::table::{Cell, Table};

/// Check and explain settings
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what a server started here would be asked to be, and who says so
    #[command(after_help = "\
Examples:
  tasklane config check
  tasklane config check --config /etc/tasklane/tasklane.toml
  tasklane config check -o ndjson
  tasklane config check --production

The exit code is 2 if a server would refuse to start with these settings, and 1 if --production finds something missing.
Secrets are shown as ***.")]
    Check(Box<Check>),
    /// Print the JSON Schema of tasklane.toml, for editors
    #[command(after_help = "\
Examples:
  tasklane config schema")]
    Schema,
    /// Print the page about every setting
    #[command(after_help = "\
Examples:
  tasklane config reference
  tasklane config reference --env")]
    Reference(Reference),
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    said: FlagsOf<All>,
    /// Also name what is missing for work that matters, and what to do about it
    #[arg(long)]
    production: bool,
}

#[derive(Debug, Args)]
struct Reference {
    /// As an example of a file .env instead
    #[arg(long)]
    env: bool,
}

impl Config {
    pub(crate) fn run(self, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
        match self.action {
            Action::Check(it) => check(&it, environment, output),
            Action::Schema => {
                let text = format!("{:#}", schema::schema());
                if output.is_for_people() { output.data(&text) } else { output.document(text.as_bytes()) }
                    .map(|()| Exit::Ok)
            }
            Action::Reference(it) => {
                let page = if it.env { reference::env_example() } else { reference::page() };
                output.data(page.trim_end()).map(|()| Exit::Ok)
            }
        }
    }
}

/// A setting, for programs.
#[derive(Debug, Serialize)]
struct Line {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    origin: &'static str,
    /// The flag, the variable or the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Whether the variable is one that other programs know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    foreign: bool,
}

fn check(asked: &Check, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let (settings, mut wrong) = Settings::gather(&asked.said.flags, environment)?;
    let all = settings.all();
    if output.is_for_people() {
        output.table(&table(&all))?;
    } else {
        output.values(&all.iter().map(|(key, found)| line(key, found)).collect::<Vec<_>>())?;
    }
    for path in settings.files() {
        output.note(Tone::Dim, &format!("read {}", path.display()));
    }
    for path in settings.skipped() {
        let line = format!("{} has no section of Tasklane and is not read; is tasklane.toml missing?", path.display());
        output.note(Tone::Careful, &line);
    }
    for (name, nearest) in config::unknown(environment) {
        let meant = nearest.map(|it| format!("; is {it} meant?")).unwrap_or_default();
        output.note(Tone::Careful, &format!("nothing reads the variable {name}{meant}"));
    }
    if wrong.is_empty() {
        wrong.extend(refusals(&settings, environment));
    }
    verdict(wrong, output)?;
    if asked.production { production(&settings, environment, output) } else { Ok(Exit::Ok) }
}

/// Names what is missing for work that matters.
fn production(settings: &Settings, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let missing = missing_from(&Checked::read(settings)?, &Log::read(settings, environment)?);
    for Missing { setting, cause, remedy } in &missing {
        output.note(Tone::Careful, &format!("{}: {cause}", setting.key));
        output.note(Tone::Dim, &format!("  fix: {remedy}"));
    }
    if missing.is_empty() {
        output.note(
            Tone::Good,
            "nothing is missing that settings can say; docs/how-to/run-in-production.md has the rest",
        );
        return Ok(Exit::Ok);
    }
    Ok(Exit::Failed)
}

/// Why a server would not start with settings that can be read.
fn refusals(settings: &Settings, environment: &Environment) -> Option<StartError> {
    Log::read(settings, environment).map(drop).and_then(|()| Checked::read(settings).map(drop)).err()
}

/// Every error but the last is said here; the last ends the command.
fn verdict(mut wrong: Vec<StartError>, output: &Output) -> Result<Exit, Failure> {
    let Some(last) = wrong.pop() else {
        output.note(Tone::Good, "a server would start with these settings");
        return Ok(Exit::Ok);
    };
    wrong.into_iter().for_each(|it| output.failure(&it.into()));
    Err(last.into())
}

fn table(all: &[(String, Found)]) -> Table {
    let mut table = Table::new(&["SETTING", "VALUE", "SAID BY"]);
    for (key, found) in all {
        let foreign = matches!(found.origin, Origin::Variable { foreign: true, .. });
        let foreign = if foreign { ", a name of other programs" } else { "" };
        let tone = if found.origin == Origin::Default { Tone::Dim } else { Tone::Plain };
        let origin = Cell::new(tone, format!("{}{foreign}", found.origin));
        table.row([key.into(), found.shown().unwrap_or("-").into(), origin]);
    }
    table
}

fn line(key: &str, found: &Found) -> Line {
    let (origin, said_by, line, foreign) = match &found.origin {
        Origin::Flag(flag) => ("flag", Some(flag.clone()), None, false),
        Origin::Variable { name, place, foreign } => {
            ("environment", Some((*name).to_owned()), place.as_ref().map(|(_, line)| *line), *foreign)
        }
        Origin::File { path, line } => ("file", Some(path.display().to_string()), Some(*line), false),
        Origin::Default => ("default", None, None, false),
    };
    Line { key: key.to_owned(), value: found.shown().map(str::to_owned), origin, said_by, line, foreign }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tasklane_server::Flags;

    use super::*;
    use crate::output::Paint;

    #[test]
    fn values_are_told_with_who_said_them_and_secrets_are_not() {
        let environment = Environment::from([("LOG_LEVEL", "DEBUG"), ("TASKLANE_ADMIN_KEY", "s3cret")]);
        let settings = Settings::without_files(&Flags::default(), &environment).unwrap();
        let text = table(&settings.all()).lines(Paint::Text).join("\n");
        assert!(!text.contains("s3cret"), "{text}");
        let row = |key: &str| text.lines().find(|it| it.starts_with(key)).unwrap().to_owned();
        assert!(
            row("log.level").contains("DEBUG") && row("log.level").ends_with("LOG_LEVEL, a name of other programs")
        );
        assert!(row("keys.admin_key").contains("***"));
        assert!(row("http.listen").ends_with("default"));
        assert!(refusals(&settings, &environment).is_some(), "a key would end the start");
    }
}
