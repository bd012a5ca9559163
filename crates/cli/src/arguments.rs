//! The words of the command line. Each command's own stand in its file.

use clap::{Parser, Subcommand};
use tasklane_server::Environment;

use crate::output::{Colour, Format};
use crate::{
    atropos, audit, bench, cancel, completion, config, db, dev, doctor, explain, gate, get, health, key, logs, ls,
    queue, reference, rerun, result, retry, schedule, serve, stats, submit, top, types, watch, webhook, why, worker,
};

/// Options that every command takes stand together.
const EVERYWHERE: &str = "Everywhere";

/// Accepts, queues, schedules, runs and watches long-running work
#[derive(Debug, Parser)]
#[command(
    name = "tasklane",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  tasklane dev                                          a server to try things with
  tasklane submit report_generation pages=3 --wait      in another terminal

Exit codes: 0 done, 1 failed, 2 asked for wrongly, 3 the task failed, 4 key, 5 not found, 6 not finished in time,
7 conflict, 65 bad data, 69 no server, 74 disk, 130 interrupted."
)]
pub(crate) struct Arguments {
    /// The server to talk to [env: TASKLANE_URL] [default: http://127.0.0.1:8000]
    #[arg(long, global = true, value_name = "URL", help_heading = EVERYWHERE)]
    pub(crate) url: Option<String>,
    /// What data looks like: table, json (the server's own), ndjson (one JSON value a line), yaml, or id (ids alone)
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT", help_heading = EVERYWHERE)]
    #[arg(hide_possible_values = true)]
    pub(crate) output: Format,
    /// Only these members, without quotes, such as id,state,progress.percent; a tab between two
    #[arg(long, global = true, value_name = "NAMES", value_delimiter = ',', conflicts_with = "output", help_heading = EVERYWHERE)]
    pub(crate) field: Vec<String>,
    /// No colours, as with NO_COLOR in the environment
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) no_color: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    pub(crate) fn colour(&self, environment: &Environment) -> Colour {
        if self.no_color || environment.get("NO_COLOR").is_some() { Colour::Never } else { Colour::Auto }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(dev::Dev),
    Serve(serve::Serve),
    Atropos(atropos::Atropos),
    Submit(Box<submit::Submit>),
    Get(get::Get),
    Result(result::GetResult),
    Ls(ls::Ls),
    Watch(watch::Watch),
    Logs(logs::Logs),
    Why(why::Why),
    Cancel(cancel::Cancel),
    Retry(retry::Retry),
    Rerun(rerun::Rerun),
    Queue(queue::Queue),
    Gate(gate::Gate),
    Schedule(schedule::Schedule),
    Webhook(webhook::Webhook),
    Key(key::Key),
    Audit(audit::Audit),
    Type(types::Types),
    Worker(worker::Worker),
    Stats(stats::Stats),
    Top(top::Top),
    Doctor(doctor::Doctor),
    Healthcheck(health::Healthcheck),
    Config(config::Config),
    Db(db::Db),
    Bench(bench::Bench),
    Explain(explain::Explain),
    Completion(completion::Completion),
    Reference(reference::Reference),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let path = format!("{path} {}", command.get_name());
        let alone = !command.is_subcommand_required_set() && path != " tasklane";
        if command.get_subcommands().next().is_none() || alone {
            found.push((path.trim().to_owned(), command.clone()));
        }
        command.get_subcommands().for_each(|it| leaves(it, &path, found));
    }

    /// The words of a line as a shell splits it, as far as single quotes go.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        for letter in line.chars() {
            match letter {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                other => words.last_mut().unwrap().push(other),
            }
        }
        words.into_iter().filter(|it| !it.is_empty()).collect()
    }

    #[test]
    fn the_definitions_hold_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_that_parses() {
        let mut found = Vec::new();
        leaves(&Arguments::command(), "", &mut found);
        assert!(found.len() >= 38, "{}", found.len());
        for (path, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = help.lines().map(str::trim).filter(|line| line.starts_with(&path)).collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                let line = example.split(" | ").next().unwrap();
                if let Err(error) = Arguments::try_parse_from(words(line)) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn colours_go_by_flag_and_by_the_usual_variable() {
        let plain = Arguments::try_parse_from(["tasklane", "ls"]).unwrap();
        assert_eq!(plain.colour(&Environment::default()), Colour::Auto);
        assert_eq!(plain.colour(&Environment::from([("NO_COLOR", "1")])), Colour::Never);
        let flagged = Arguments::try_parse_from(["tasklane", "ls", "--no-color"]).unwrap();
        assert_eq!(flagged.colour(&Environment::default()), Colour::Never);
    }
}
