//! `tasklane completion`: the words a shell can complete.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Print what a shell needs to complete commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane completion bash
  tasklane completion zsh
  tasklane completion fish

Have it read by the shell: source <(tasklane completion bash), in ~/.bashrc or once.")]
pub(crate) struct Completion {
    /// Which shell: bash, zsh, fish, elvish or powershell
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self, output: &Output) -> Result<Exit, Failure> {
        output.data(script(self.shell).trim_end())?;
        Ok(Exit::Ok)
    }
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tasklane", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            assert!(script.contains("submit") && script.contains("max-attempts"), "{shell}");
        }
    }
}
