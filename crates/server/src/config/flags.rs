//! The flags that settings have, as clap reads them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command};

use super::setting::{Flag, Kind, Setting};
use super::settings::{Found, Origin};
use super::{CONFIG, SECTIONS, store};

const CONFIG_FLAG: &str = "config";

/// What the command line said.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    said: BTreeMap<&'static str, String>,
    /// `--config FILE`.
    pub config: Option<PathBuf>,
}

impl Flags {
    /// The same, with this said about `setting`.
    #[must_use]
    pub fn with(mut self, setting: &'static Setting, text: impl Into<String>) -> Self {
        self.said.insert(setting.key, text.into());
        self
    }

    pub(super) fn said(&self, setting: &'static Setting) -> Option<Found> {
        let text = self.said.get(setting.key)?.clone();
        let origin = Origin::Flag(setting.flag.map_or_else(|| setting.key.into(), |it| format!("--{}", it.long())));
        Some(Found { setting, text: Some(text), origin })
    }
}

/// Which settings a command has flags for.
pub trait Choice {
    /// Whether it has this one's.
    fn has(setting: &Setting) -> bool;

    /// Where the flag may stand.
    fn place(arg: Arg) -> Arg {
        arg
    }
}

/// Every setting that has a flag: what starts a server.
#[derive(Debug, Clone)]
pub struct All;

impl Choice for All {
    fn has(_: &Setting) -> bool {
        true
    }
}

/// Where the data is, and nothing else.
#[derive(Debug, Clone)]
pub struct Data;

impl Choice for Data {
    fn has(setting: &Setting) -> bool {
        *setting == store::DATA_DIR
    }

    /// Also behind the word of a subcommand.
    fn place(arg: Arg) -> Arg {
        arg.global(true)
    }
}

/// The flags of a command, with `--config`; flatten it into clap's arguments.
#[derive(Debug, Clone)]
pub struct FlagsOf<C> {
    /// What was said.
    pub flags: Flags,
    choice: PhantomData<C>,
}

impl<C> Default for FlagsOf<C> {
    fn default() -> Self {
        Self { flags: Flags::default(), choice: PhantomData }
    }
}

fn chosen<C: Choice>() -> impl Iterator<Item = (&'static Setting, Flag)> {
    let settings = SECTIONS.iter().flat_map(|it| it.settings).copied().filter(|it| C::has(it));
    settings.filter_map(|it| Some((it, it.flag?)))
}

fn arg(setting: &'static Setting, flag: Flag) -> Arg {
    let arg = Arg::new(setting.key).long(flag.long());
    match flag {
        Flag::Says { doc, .. } => arg.help(doc).action(ArgAction::SetTrue),
        Flag::Takes { value, .. } => {
            let default = setting.default.map(|it| format!(" [default: {it}]")).unwrap_or_default();
            let arg = arg.help(format!("{}{default}", setting.doc)).value_name(value).action(ArgAction::Set);
            match setting.kind {
                Kind::Path => arg.value_hint(clap::ValueHint::AnyPath),
                _ => arg,
            }
        }
    }
}

impl<C: Choice> Args for FlagsOf<C> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG_FLAG).long(CONFIG_FLAG).value_name("FILE").value_hint(clap::ValueHint::FilePath);
        let help = format!("Read settings from this file [env: {CONFIG}] [default: tasklane.toml, if it is there]");
        let command = command.args(chosen::<C>().map(|(setting, flag)| C::place(arg(setting, flag))));
        command.arg(C::place(config.help(help).value_parser(clap::value_parser!(PathBuf))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Choice> clap::FromArgMatches for FlagsOf<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all = Self::default();
        all.update_from_arg_matches(matches)?;
        Ok(all)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (setting, flag) in chosen::<C>() {
            let said = match flag {
                Flag::Says { value, .. } => matches.get_flag(setting.key).then(|| value.to_owned()),
                Flag::Takes { .. } => matches.get_one::<String>(setting.key).cloned(),
            };
            self.flags.said.extend(said.map(|it| (setting.key, it)));
        }
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG_FLAG) {
            self.flags.config = Some(path.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::FromArgMatches;

    use super::super::{executors, listen};
    use super::*;

    fn parsed<C: Choice>(words: &[&str]) -> Result<Flags, clap::Error> {
        let matches = FlagsOf::<C>::augment_args(Command::new("t")).try_get_matches_from(words)?;
        Ok(FlagsOf::<C>::from_arg_matches(&matches)?.flags)
    }

    #[test]
    fn flags_are_those_of_the_settings() {
        let words = ["t", "--listen", "127.0.0.1:1", "--no-executors", "--config", "x.toml"];
        let flags = parsed::<All>(&words).unwrap();
        assert_eq!(flags.said(&listen::LISTEN).unwrap().text.as_deref(), Some("127.0.0.1:1"));
        let executors = flags.said(&executors::ENABLED).unwrap();
        assert_eq!((executors.text.as_deref(), executors.origin.to_string()), (Some("false"), "--no-executors".into()));
        assert!(flags.said(&listen::INSECURE).is_none());
        assert_eq!(flags.config, Some("x.toml".into()));
    }

    #[test]
    fn a_command_may_have_fewer() {
        assert!(parsed::<Data>(&["t", "--data-dir", "d"]).unwrap().said(&store::DATA_DIR).is_some());
        assert!(parsed::<Data>(&["t", "--listen", "127.0.0.1:1"]).is_err());
    }
}
