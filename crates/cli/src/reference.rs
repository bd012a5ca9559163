//! The pages that are made from this program, and the hidden command that prints them.

use clap::builder::StyledStr;
use clap::{Arg, Args, Command, CommandFactory, ValueEnum};
use tasklane_server::codes;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Print a page of the documentation that is made from this program
#[derive(Debug, Args)]
#[command(
    hide = true,
    after_help = "\
Examples:
  tasklane reference command-line"
)]
pub(crate) struct Reference {
    /// Which page
    #[arg(value_enum, value_name = "PAGE")]
    page: Page,
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// docs/reference/command-line.md
    CommandLine,
    /// docs/reference/codes.md
    Codes,
}

impl Reference {
    pub(crate) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let page = match self.page {
            Page::CommandLine => command_line(),
            Page::Codes => codes::page(),
        };
        output.data(page.trim_end()).map(|()| Exit::Ok)
    }
}

const HEAD: &str = "\
<!-- Made by `tasklane reference command-line`. The declarations stand in crates/cli/src. -->
# The command line

Data goes to standard output, everything else to standard error. Options that every command takes stand at the end.

";

/// The page about every command.
fn command_line() -> String {
    let mut command = Arguments::command();
    command.build();
    let mut page = HEAD.to_owned();
    for command in command.get_subcommands() {
        of_command(command, "tasklane", &mut page);
    }
    page += "## Everywhere\n\n";
    page += &options(command.get_arguments());
    let words = command.get_after_help().map(StyledStr::to_string).unwrap_or_default();
    page + &after(&words)
}

fn of_command(command: &Command, path: &str, page: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let path = format!("{path} {}", command.get_name());
    if !command.has_subcommands() || does_something_itself(command) {
        of_leaf(command, &path, page);
    }
    command.get_subcommands().for_each(|it| of_command(it, &path, page));
}

/// Whether a command with subcommands does something without one, too.
fn does_something_itself(command: &Command) -> bool {
    !command.is_subcommand_required_set() && command.get_after_help().is_some()
}

fn of_leaf(command: &Command, path: &str, page: &mut String) {
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    *page += &format!("## {path}\n\n{about}.\n\n");
    *page += &options(command.get_arguments().filter(|it| !it.is_global_set() || it.get_id().as_str().contains('.')));
    *page += &after(&command.get_after_help().map(StyledStr::to_string).unwrap_or_default());
}

fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let shown = arguments.filter(|it| !it.is_hide_set() && !matches!(it.get_id().as_str(), "help" | "version"));
    let lines: String = shown.map(|it| format!("- `{}`: {}\n", written(it), help(it))).collect();
    if lines.is_empty() { lines } else { lines + "\n" }
}

/// `-o, --output FORMAT`.
fn written(arg: &Arg) -> String {
    let names = [arg.get_short().map(|it| format!("-{it}")), arg.get_long().map(|it| format!("--{it}"))];
    let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(|it| it.first()).map(ToString::to_string);
    let value = value.filter(|_| takes).map(|it| if arg.is_positional() { it } else { format!(" {it}") });
    names + &value.unwrap_or_default()
}

fn help(arg: &Arg) -> String {
    let help = arg.get_help().map(StyledStr::to_string).unwrap_or_default();
    let default = arg.get_default_values().iter().filter_map(|it| it.to_str()).next();
    // A flag's own help may tell its default in words.
    let default = default.filter(|_| !help.contains("[default") && arg.get_action().takes_values());
    help + &default.map(|it| format!(" [default: {it}]")).unwrap_or_default()
}

/// The examples as a block, the sentences behind them as sentences.
fn after(help: &str) -> String {
    let (mut page, mut block) = (String::new(), String::new());
    for line in help.lines().filter(|it| *it != "Examples:") {
        match line.strip_prefix("  ") {
            Some(example) => block += &format!("{example}\n"),
            None if line.is_empty() => {}
            None => page += &format!("{line}\n"),
        }
    }
    let block = if block.is_empty() { block } else { format!("```text\n{block}```\n\n") };
    let words = if page.is_empty() { page } else { page + "\n" };
    block + &words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_current() {
        let committed = include_str!("../../../docs/reference/command-line.md");
        assert!(
            committed == format!("{}\n", command_line().trim_end()),
            "docs/reference/command-line.md: run scripts/reference"
        );
        let committed = include_str!("../../../docs/reference/codes.md");
        assert!(
            committed == format!("{}\n", codes::page().trim_end()),
            "docs/reference/codes.md: run scripts/reference"
        );
    }

    #[test]
    fn a_command_is_told_with_its_options_and_examples() {
        let page = command_line();
        for part in
            ["## tasklane queue purge", "- `-y, --yes`: Do not ask", "tasklane queue purge mail --yes", "- `ID`: "]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("tasklane reference codes") && !page.contains("## tasklane help"));
    }
}
