//! What a setting is. Each is declared once, in the file of its section; the loader, the command line's flags, the JSON
//! Schema, the reference page and `.env.example` are all made from that.

use tasklane_core::limit;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `section.name`, as in a file. A `*` stands for a name that the user chooses.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where nobody says anything; `None`: nothing does.
    pub default: Option<&'static str>,
    /// The variable of ours that sets it.
    pub variable: Option<&'static str>,
    /// Variables that other programs know, and that set it too; ours wins.
    pub foreign: &'static [&'static str],
    /// The flag that sets it.
    pub flag: Option<Flag>,
    /// What it is for: one sentence for `--help`, without a full stop at its end.
    pub doc: &'static str,
    /// What else there is to know, for the reference page.
    pub more: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ADDR:PORT`.
    Address,
    /// Yes or no.
    Switch,
    /// A whole number between these, both included.
    Number(u64, u64),
    /// A number within [`limit::WEIGHT`].
    Weight,
    /// A file or directory.
    Path,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Text that nobody is shown.
    Secret,
    /// At most so many texts; separated by commas in a variable.
    List(usize),
    /// A table of a file, read as the JSON that a request would carry.
    Table,
}

/// A flag of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `--long VALUE`.
    Takes {
        /// The flag without its dashes.
        long: &'static str,
        /// How the value is called.
        value: &'static str,
    },
    /// `--long`, which says one thing.
    Says {
        /// The flag without its dashes.
        long: &'static str,
        /// What the setting becomes.
        value: &'static str,
        /// The flag's own help.
        doc: &'static str,
    },
}

impl Flag {
    /// The flag without its dashes.
    pub const fn long(self) -> &'static str {
        match self {
            Self::Takes { long, .. } | Self::Says { long, .. } => long,
        }
    }

    /// As it is written.
    pub fn shown(self) -> String {
        match self {
            Self::Takes { long, value } => format!("--{long} {value}"),
            Self::Says { long, .. } => format!("--{long}"),
        }
    }
}

/// Settings that belong together: a table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The table's name.
    pub name: &'static str,
    /// What the section is about.
    pub doc: &'static str,
    /// Its settings.
    pub settings: &'static [&'static Setting],
}

impl Setting {
    /// Where everything begins; each setting says what is different.
    pub(super) const NEW: Self =
        Self { key: "", kind: Kind::Text, default: None, variable: None, foreign: &[], flag: None, doc: "", more: "" };

    /// The names of the variables that set it, ours first.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.variable.into_iter().chain(self.foreign.iter().copied())
    }

    /// The key without its section.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Whether nobody may be shown it.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// The names that stand for `*` in the key, if `path` is this setting's place in a file.
    pub(super) fn matches(&self, path: &[String]) -> Option<Vec<String>> {
        let parts: Vec<_> = self.key.split('.').collect();
        if parts.len() != path.len() {
            return None;
        }
        let mut names = Vec::new();
        for (part, given) in parts.iter().zip(path) {
            match *part {
                "*" => names.push(given.clone()),
                part if part == given => {}
                _ => return None,
            }
        }
        Some(names)
    }

    /// Whether `path` is a table on the way to this setting.
    pub(super) fn lies_below(&self, path: &[String]) -> bool {
        let parts: Vec<_> = self.key.split('.').collect();
        parts.len() > path.len() && parts.iter().zip(path).all(|(part, given)| *part == "*" || part == given)
    }
}

impl Kind {
    /// What it takes, to stand behind "is not".
    pub fn expected(self) -> String {
        match self {
            Self::Address => "an address and a port, such as 127.0.0.1:8000 or [::1]:8000".into(),
            Self::Switch => "true or false".into(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Weight => format!("a number from {} to {}", limit::WEIGHT.start(), limit::WEIGHT.end()),
            Self::Path => "the path of a file or directory".into(),
            Self::Word(words) => one_of(words),
            Self::Text | Self::Secret => "a text".into(),
            Self::List(most) => format!("a list of at most {most} texts"),
            Self::Table => "a table".into(),
        }
    }

    /// Whether `text` can be a value of it.
    pub fn takes(self, text: &str) -> bool {
        match self {
            Self::Address => address(text).is_some(),
            Self::Switch => switch(text).is_some(),
            Self::Number(least, most) => text.parse().is_ok_and(|it: u64| (least..=most).contains(&it)),
            Self::Weight => text.parse().is_ok_and(|it: f64| limit::WEIGHT.contains(&it)),
            Self::Word(words) => words.iter().any(|it| it.eq_ignore_ascii_case(text)),
            Self::Path | Self::Text | Self::Secret => !text.trim().is_empty(),
            Self::List(most) => items(text).count() <= most,
            Self::Table => text.starts_with('{'),
        }
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

/// `ADDR:PORT`, with `localhost` as the one name that needs no resolver.
pub(super) fn address(text: &str) -> Option<std::net::SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", std::net::Ipv4Addr::LOCALHOST).parse().ok(),
        None => text.parse().ok(),
    }
}

/// Yes or no, as people write it.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The items of a list as a variable writes it.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_knows_what_it_takes() {
        let cases = [
            (Kind::Address, "localhost:1", "8000"),
            (Kind::Switch, "On", "maybe"),
            (Kind::Number(1, 10), "10", "11"),
            (Kind::Word(&["info", "warn"]), "WARN", "loud"),
            (Kind::Weight, "0.1", "100.1"),
            (Kind::List(2), "a, b", "a,b,c"),
            (Kind::Path, "x", " "),
        ];
        for (kind, good, bad) in cases {
            assert!(kind.takes(good), "{kind:?} {good}");
            assert!(!kind.takes(bad), "{kind:?} {bad}");
        }
        assert_eq!(Kind::Word(&["a", "b", "c"]).expected(), "a, b or c");
    }

    #[test]
    fn a_star_stands_for_a_name() {
        let setting = Setting { key: "executors.http.*.url", ..Setting::NEW };
        let path = |parts: &[&str]| parts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let names = setting.matches(&path(&["executors", "http", "report.generate", "url"]));
        assert_eq!(names, Some(vec!["report.generate".to_owned()]));
        assert_eq!(setting.matches(&path(&["executors", "http", "url"])), None);
        assert!(setting.lies_below(&path(&["executors", "http", "x"])));
        assert!(!setting.lies_below(&path(&["executors", "grpc"])));
    }
}
