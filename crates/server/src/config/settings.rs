//! The settings of this start, from everywhere they may be said: flag, then environment, then file, then default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::{self, Entry, Files};
use super::setting::{self, Section, Setting};
use super::{CONFIG, Environment, Flags, SECTIONS};
use crate::error::StartError;

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(String),
    /// A variable; `place` is the line of `.env` it stands in, `foreign` whether the name is another program's.
    Variable {
        /// Its name.
        name: &'static str,
        /// File and line, unless the process was given it.
        place: Option<(PathBuf, usize)>,
        /// Whether other programs know it under this name too.
        foreign: bool,
    },
    /// A line of a file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
    },
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Variable { name, place, .. } => match place {
                Some((path, line)) => write!(f, "{name} ({}:{line})", path.display()),
                None => write!(f, "{name}"),
            },
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => write!(f, "default"),
        }
    }
}

/// A setting's value on this start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which setting.
    pub setting: &'static Setting,
    /// The value, written as a variable would write it; `None`: nothing holds.
    pub text: Option<String>,
    /// Where it was said.
    pub origin: Origin,
}

impl Found {
    /// The value as it may be shown.
    pub fn shown(&self) -> Option<&str> {
        if self.setting.is_secret() { self.text.as_ref().map(|_| "***") } else { self.text.as_deref() }
    }

    /// How an error names it.
    pub(super) fn name(&self) -> String {
        match &self.origin {
            Origin::File { .. } => format!("{} {}", self.origin, self.setting.key),
            Origin::Default => self.setting.key.to_owned(),
            said => said.to_string(),
        }
    }
}

/// The settings of this start.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    found: BTreeMap<&'static str, Found>,
    /// Those whose key has a `*`: by key, then by the names for it.
    tables: BTreeMap<&'static str, BTreeMap<Vec<String>, Found>>,
    files: Vec<PathBuf>,
    skipped: Vec<PathBuf>,
}

impl Settings {
    /// What holds, with the files of the current directory or the one that is named.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        let (settings, wrong) = Self::gather(flags, environment)?;
        wrong.into_iter().next().map_or(Ok(settings), Err)
    }

    /// What holds, and everything that is wrong with what was said.
    ///
    /// # Errors
    /// A file cannot be read at all.
    pub fn gather(flags: &Flags, environment: &Environment) -> Result<(Self, Vec<StartError>), StartError> {
        let named = flags.config.clone().or_else(|| environment.get(CONFIG).map(PathBuf::from));
        let files = Files::find(named.as_deref(), Path::new(""))?;
        let (mut entries, mut wrong, mut read, mut skipped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for path in files.paths {
            let text = file::text(&path)?;
            if !files.ours && !file::is_ours(&text, SECTIONS) {
                skipped.push(path);
                continue;
            }
            let (said, refused) = file::read(&path, &text, SECTIONS);
            entries.extend(said);
            wrong.extend(refused);
            read.push(path);
        }
        let mut settings = Self { files: read, skipped, ..Self::default() };
        settings.merge(SECTIONS, flags, environment, entries, &mut wrong);
        Ok((settings, wrong))
    }

    /// What holds without files: for tests, and for whoever has none.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn without_files(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        let (mut settings, mut wrong) = (Self::default(), Vec::new());
        settings.merge(SECTIONS, flags, environment, Vec::new(), &mut wrong);
        wrong.into_iter().next().map_or(Ok(settings), Err)
    }

    /// What a file of this text says.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Result<Self, StartError> {
        let (entries, mut wrong) = file::read(Path::new("tasklane.toml"), text, SECTIONS);
        let mut settings = Self::default();
        settings.merge(SECTIONS, &Flags::default(), &Environment::default(), entries, &mut wrong);
        wrong.into_iter().next().map_or(Ok(settings), Err)
    }

    fn merge(
        &mut self,
        sections: &[&Section],
        flags: &Flags,
        environment: &Environment,
        entries: Vec<Entry>,
        wrong: &mut Vec<StartError>,
    ) {
        for setting in sections.iter().flat_map(|it| it.settings) {
            let said = [flags.said(setting), in_environment(setting, environment)].into_iter().flatten().next();
            if let Some(found) = said {
                let text = found.text.as_deref().unwrap_or_default();
                if !setting.kind.takes(text) {
                    let shown = found.shown().unwrap_or_default();
                    wrong.push(StartError::setting(&found.name(), shown, &setting.kind.expected()));
                }
                self.found.insert(setting.key, found);
            }
        }
        for Entry { setting, names, text, path, line } in entries {
            let found = Found { setting, text: Some(text), origin: Origin::File { path, line } };
            if !names.is_empty() {
                self.tables.entry(setting.key).or_default().insert(names, found);
            } else if self.found.get(setting.key).is_none_or(|it| matches!(it.origin, Origin::File { .. })) {
                self.found.insert(setting.key, found);
            }
        }
    }

    /// What holds for `setting`.
    pub fn get(&self, setting: &'static Setting) -> Found {
        self.found.get(setting.key).cloned().unwrap_or_else(|| Found {
            setting,
            text: setting.default.map(str::to_owned),
            origin: Origin::Default,
        })
    }

    /// Every setting, in the order of the reference page; those with names of the user's choice follow their section's.
    pub fn all(&self) -> Vec<(String, Found)> {
        let mut all = Vec::new();
        for setting in SECTIONS.iter().flat_map(|it| it.settings) {
            if !setting.key.contains('*') {
                all.push((setting.key.to_owned(), self.get(setting)));
                continue;
            }
            for (names, found) in self.tables.get(setting.key).into_iter().flatten() {
                let mut names = names.iter();
                let part = |it: &str| if it == "*" { names.next().cloned().unwrap_or_default() } else { it.to_owned() };
                let path: Vec<_> = setting.key.split('.').map(part).collect();
                all.push((file::dotted(&path), found.clone()));
            }
        }
        all
    }

    /// The values of a setting whose key has a `*`, by the names that stand for it.
    pub fn named(&self, setting: &'static Setting) -> impl Iterator<Item = (&[String], &Found)> {
        self.tables.get(setting.key).into_iter().flatten().map(|(names, found)| (names.as_slice(), found))
    }

    /// The files that were read, in their order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Fragments that know no section of ours, where no file of ours stands beside them.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// The setting's text.
    pub fn text(&self, setting: &'static Setting) -> Option<String> {
        self.get(setting).text
    }

    /// The setting as a path.
    pub fn path(&self, setting: &'static Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// The setting's items; none where nothing holds.
    pub fn list(&self, setting: &'static Setting) -> Vec<String> {
        self.text(setting).map(|it| setting::items(&it).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The setting as a yes or no.
    ///
    /// # Errors
    /// It is neither.
    pub fn switch(&self, setting: &'static Setting) -> Result<bool, StartError> {
        self.parsed(setting, setting::switch)
    }

    /// The setting as a number.
    ///
    /// # Errors
    /// It is none, or none within its bounds.
    pub fn number(&self, setting: &'static Setting) -> Result<u64, StartError> {
        self.parsed(setting, |it| it.parse().ok().filter(|_| setting.kind.takes(it)))
    }

    /// The setting as an address.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self, setting: &'static Setting) -> Result<SocketAddr, StartError> {
        self.parsed(setting, setting::address)
    }

    /// The setting as whatever `parse` makes of it.
    ///
    /// # Errors
    /// `parse` makes nothing of it.
    pub fn parsed<T>(&self, setting: &'static Setting, parse: impl Fn(&str) -> Option<T>) -> Result<T, StartError> {
        let found = self.get(setting);
        let text = found.text.as_deref().unwrap_or_default();
        parse(text).ok_or_else(|| {
            StartError::setting(&found.name(), found.shown().unwrap_or_default(), &setting.kind.expected())
        })
    }
}

fn in_environment(setting: &'static Setting, environment: &Environment) -> Option<Found> {
    let (name, text) = setting.variables().find_map(|name| Some((name, environment.get(name)?)))?;
    let place = environment.place(name).map(|(path, line)| (path.to_owned(), line));
    let origin = Origin::Variable { name, place, foreign: setting.variable != Some(name) };
    Some(Found { setting, text: Some(text.to_owned()), origin })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{executors, listen, log};
    use super::*;

    fn entry(setting: &'static Setting, text: &str, line: usize) -> Entry {
        Entry { setting, names: vec![], text: text.into(), path: "t.toml".into(), line }
    }

    fn merged(flags: &Flags, environment: &Environment, entries: Vec<Entry>) -> Settings {
        let (mut settings, mut wrong) = (Settings::default(), Vec::new());
        settings.merge(SECTIONS, flags, environment, entries, &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        settings
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_files_over_the_default() {
        let flags = Flags::default().with(&listen::LISTEN, "127.0.0.1:1");
        let environment = Environment::from([("TASKLANE_LISTEN", "127.0.0.1:2"), ("TASKLANE_SLOTS", "7")]);
        let files = || {
            [entry(&listen::LISTEN, "127.0.0.1:3", 1), entry(&executors::SLOTS, "8", 2), entry(&log::LEVEL, "debug", 3)]
        };
        let settings = merged(&flags, &environment, [&files()[..], &[entry(&log::LEVEL, "error", 9)]].concat());
        assert_eq!(settings.address(&listen::LISTEN).unwrap().port(), 1);
        assert_eq!(settings.number(&executors::SLOTS).unwrap(), 7);
        let level = settings.get(&log::LEVEL);
        assert_eq!((level.text.as_deref(), level.origin.to_string()), (Some("error"), "t.toml:9".to_owned()));
        assert_eq!(settings.get(&listen::CONNECTIONS).origin, Origin::Default);
    }

    #[test]
    fn a_foreign_name_is_told_and_ours_wins() {
        let environment = Environment::from([("LOG_LEVEL", "debug")]);
        let level = merged(&Flags::default(), &environment, vec![]).get(&log::LEVEL);
        assert!(matches!(level.origin, Origin::Variable { name: "LOG_LEVEL", foreign: true, .. }), "{level:?}");
        let both = Environment::from([("LOG_LEVEL", "debug"), ("TASKLANE_LOG", "error")]);
        assert_eq!(merged(&Flags::default(), &both, vec![]).text(&log::LEVEL).as_deref(), Some("error"));
    }

    #[test]
    fn what_is_no_value_is_refused_where_it_was_said() {
        let environment = Environment::from([("TASKLANE_SLOTS", "0"), ("TASKLANE_INSECURE", "maybe")]);
        let refusal = Settings::without_files(&Flags::default(), &environment).unwrap_err().to_string();
        assert!(refusal.contains("TASKLANE_INSECURE") && refusal.contains("maybe"), "{refusal}");
    }

    #[test]
    fn values_with_names_of_the_users_choice_are_kept_by_name() {
        static URL: Setting = Setting { key: "executors.http.*.url", ..Setting::NEW };
        let named = |name: &str, line| Entry { names: vec![name.into()], ..entry(&URL, name, line) };
        let settings = merged(&Flags::default(), &Environment::default(), vec![named("b", 1), named("a.x", 2)]);
        let names: Vec<_> =
            settings.named(&URL).map(|(names, found)| (names.to_vec(), found.origin.to_string())).collect();
        let want = [(vec!["a.x".to_owned()], "t.toml:2".to_owned()), (vec!["b".to_owned()], "t.toml:1".to_owned())];
        assert_eq!(names, want);
    }
}
