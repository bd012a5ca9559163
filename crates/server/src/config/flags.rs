//! The flags that settings have, as clap reads them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command};

use super::setting::{Flag, Kind, Section, Setting};
use super::settings::{Found, Origin};
use super::{CONFIG, SECTIONS, log, store, worker};

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

    /// Whether something was said about `setting`.
    pub fn says(&self, setting: &Setting) -> bool {
        self.said.contains_key(setting.key)
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

/// What starts a server: every setting that has a flag, but for a worker's own.
#[derive(Debug, Clone)]
pub struct All;

impl Choice for All {
    fn has(setting: &Setting) -> bool {
        !is_of(&worker::SECTION, setting)
    }
}

/// What starts a worker: its own settings, and how it logs.
#[derive(Debug, Clone)]
pub struct OfWorker;

impl Choice for OfWorker {
    fn has(setting: &Setting) -> bool {
        is_of(&worker::SECTION, setting) || is_of(&log::SECTION, setting)
    }
}

fn is_of(section: &Section, setting: &Setting) -> bool {
    section.settings.iter().any(|it| it.key == setting.key)
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

/// Where the data is, in files or in a database.
#[derive(Debug, Clone)]
pub struct Stored;

impl Choice for Stored {
    fn has(setting: &Setting) -> bool {
        is_of(&store::SECTION, setting)
    }

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
                Kind::List(_) => arg.action(ArgAction::Append),
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

/// What was said about a setting, as a variable would write it: a list's flag may stand more than once.
fn said(setting: &'static Setting, matches: &ArgMatches) -> Option<String> {
    let texts: Vec<&str> = matches.get_many::<String>(setting.key)?.map(String::as_str).collect();
    Some(texts.join(","))
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
                Flag::Takes { .. } => said(setting, matches),
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
    fn a_flag_of_a_list_may_stand_more_than_once() {
        let flags = parsed::<OfWorker>(&["t", "--server", "http://a", "--server", "http://b,http://c"]).unwrap();
        assert_eq!(flags.said(&worker::SERVERS).unwrap().text.as_deref(), Some("http://a,http://b,http://c"));
        assert!(parsed::<OfWorker>(&["t", "--listen", "127.0.0.1:1"]).is_err());
        assert!(parsed::<All>(&["t", "--server", "http://a"]).is_err());
    }

    #[test]
    fn a_command_may_have_fewer() {
        assert!(parsed::<Data>(&["t", "--data-dir", "d"]).unwrap().said(&store::DATA_DIR).is_some());
        assert!(parsed::<Stored>(&["t", "--database-url", "postgres://db/t"]).unwrap().says(&store::DATABASE_URL));
        assert!(parsed::<Data>(&["t", "--database-url", "postgres://db/t"]).is_err());
        assert!(parsed::<Data>(&["t", "--listen", "127.0.0.1:1"]).is_err());
    }
}
