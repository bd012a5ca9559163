//! Configuration files: `tasklane.toml`, and every `config/*.toml` beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest;
use super::setting::{Kind, Section, Setting};
use crate::error::StartError;

/// The file that is read where no other is named.
pub const NAME: &str = "tasklane.toml";
/// The directory of its fragments, beside it.
pub const FRAGMENTS: &str = "config";
/// Longest file in bytes.
pub const FILE_BYTES: u64 = 1 << 20;
/// Most fragments.
pub const MAX_FRAGMENTS: usize = 100;

/// What a file says about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub setting: &'static Setting,
    /// What stands for the `*` of the key.
    pub names: Vec<String>,
    /// The value, written as a variable would write it.
    pub text: String,
    pub path: PathBuf,
    pub line: usize,
}

/// The files that apply, in the order in which a later one wins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub paths: Vec<PathBuf>,
    /// Whether a file of ours was found or named; without one, a fragment that knows no section of ours belongs to
    /// another program.
    pub ours: bool,
}

impl Files {
    /// The file `named`, else the one in `dir` if there is one, and the fragments beside it.
    pub fn find(named: Option<&Path>, dir: &Path) -> Result<Self, StartError> {
        let main = named.map_or_else(|| dir.join(NAME), Path::to_owned);
        let ours = named.is_some() || main.is_file();
        let beside = main.parent().unwrap_or(Path::new("")).join(FRAGMENTS);
        let mut paths: Vec<_> = ours.then(|| shown(&main)).into_iter().collect();
        paths.extend(fragments(&beside)?);
        Ok(Self { paths, ours })
    }
}

/// Without a leading `./`.
fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn fragments(dir: &Path) -> Result<Vec<PathBuf>, StartError> {
    let refused = |error: io::Error| StartError::file(dir, None, error.to_string());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(refused(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|it| it == "toml") && path.is_file() {
            found.push(shown(&path));
        }
        if found.len() > MAX_FRAGMENTS {
            return Err(StartError::file(dir, None, format!("it holds more than {MAX_FRAGMENTS} .toml files")));
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, StartError> {
    let refused = |error: io::Error| StartError::file(path, None, error.to_string());
    if fs::metadata(path).map_err(refused)?.len() > FILE_BYTES {
        return Err(StartError::file(path, None, format!("it is longer than {FILE_BYTES} bytes")));
    }
    fs::read_to_string(path).map_err(refused)
}

/// Whether a text is TOML whose tables are all ours: one with others is some other program's.
pub(super) fn is_ours(text: &str, sections: &[&Section]) -> bool {
    let Ok(table) = DeTable::parse(text) else { return false };
    let mut keys = table.get_ref().keys();
    keys.len() > 0 && keys.all(|key| sections.iter().any(|it| it.name == key.get_ref()))
}

/// Everything the file says, and everything in it that is wrong.
pub(super) fn read(path: &Path, text: &str, sections: &[&Section]) -> (Vec<Entry>, Vec<StartError>) {
    let mut reading = Reading { path, text, sections, entries: Vec::new(), wrong: Vec::new() };
    match DeTable::parse(text) {
        Ok(table) => reading.table(table.get_ref(), &mut Vec::new()),
        Err(error) => {
            let line = error.span().map(|it| reading.line(it.start));
            // Only the message: the error's own display shows the line, and with it what may be a secret.
            reading.wrong.push(StartError::file(path, line, error.message().to_owned()));
        }
    }
    (reading.entries, reading.wrong)
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    sections: &'a [&'a Section],
    entries: Vec<Entry>,
    wrong: Vec<StartError>,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.member(key.span().start, value, path);
            path.pop();
        }
    }

    fn member(&mut self, at: usize, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>) {
        let settings: Vec<_> = self.sections.iter().flat_map(|it| it.settings).copied().collect();
        let found = settings.iter().find_map(|it| Some((*it, it.matches(path)?)));
        let line = self.line(at);
        match (found, value.get_ref()) {
            (Some((setting, names)), value) => match written(setting.kind, value) {
                Some(text) => {
                    self.entries.push(Entry { setting, names, text, path: self.path.to_owned(), line });
                }
                None => {
                    let name = format!("{}:{line} {}", self.path.display(), dotted(path));
                    let value = if setting.is_secret() { "***".into() } else { brief(value) };
                    self.wrong.push(StartError::setting(&name, &value, &setting.kind.expected()));
                }
            },
            (None, DeValue::Table(table)) if settings.iter().any(|it| it.lies_below(path)) => self.table(table, path),
            (None, _) if settings.iter().any(|it| it.lies_below(path)) => {
                let name = format!("{}:{line} {}", self.path.display(), dotted(path));
                self.wrong.push(StartError::setting(&name, value.get_ref().type_str(), "a table"));
            }
            (None, _) => self.wrong.push(StartError::UnknownKey {
                place: format!("{}:{line}", self.path.display()),
                key: dotted(path),
                nearest: nearest::key(&dotted(path), &settings),
            }),
        }
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|it| **it == b'\n').count() + 1
    }
}

/// The value as a variable would write it, where it is of the kind.
fn written(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    let text = match (kind, value) {
        (Kind::Switch, DeValue::Boolean(it)) => it.to_string(),
        (Kind::Number(..), DeValue::Integer(it)) => i64::from_str_radix(it.as_str(), it.radix()).ok()?.to_string(),
        (Kind::Weight, DeValue::Integer(it)) => i64::from_str_radix(it.as_str(), it.radix()).ok()?.to_string(),
        (Kind::Weight, DeValue::Float(it)) => it.as_str().to_owned(),
        (Kind::List(_), DeValue::Array(items)) => {
            let items = items.iter().map(|it| it.get_ref().as_str().filter(|it| !it.contains(',')));
            return Some(items.collect::<Option<Vec<_>>>()?.join(",")).filter(|it| kind.takes(it));
        }
        (Kind::Table, DeValue::Table(_)) => json(value)?.to_string(),
        (Kind::Switch | Kind::Number(..) | Kind::Weight | Kind::List(_) | Kind::Table, _) => return None,
        (_, DeValue::String(it)) => it.to_string(),
        _ => return None,
    };
    Some(text).filter(|it| kind.takes(it))
}

/// The value as JSON; times become texts. JSON has no infinity.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(it) => it.to_string().into(),
        DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix()).ok()?.into(),
        DeValue::Float(it) => serde_json::Number::from_f64(it.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(it) => (*it).into(),
        DeValue::Datetime(it) => it.to_string().into(),
        DeValue::Array(items) => items.iter().map(|it| json(it.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => {
            let member = |key: &str, value| Some((key.to_owned(), json(value)?));
            let members = table.iter().map(|(key, value)| member(key.get_ref(), value.get_ref()));
            members.collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
    })
}

/// The value in few words.
fn brief(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(it) => it.to_string(),
        DeValue::Integer(it) => it.as_str().to_owned(),
        DeValue::Float(it) => it.as_str().to_owned(),
        DeValue::Boolean(it) => it.to_string(),
        other => format!("of type {}", other.type_str()),
    }
}

/// The path as a file writes it: names with dots in quotes.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-');
    let part = |it: &String| if bare(it) { it.clone() } else { format!("{it:?}") };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SLOTS: Setting = Setting { key: "work.slots", kind: Kind::Number(1, 9), ..Setting::NEW };
    const KEY: Setting = Setting { key: "work.key", kind: Kind::Secret, ..Setting::NEW };
    const ORIGINS: Setting = Setting { key: "work.origins", kind: Kind::List(2), ..Setting::NEW };
    const URL: Setting = Setting { key: "work.http.*.url", ..Setting::NEW };
    const RULE: Setting = Setting { key: "work.rules.*", kind: Kind::Table, ..Setting::NEW };
    const WORK: Section = Section { name: "work", doc: "", settings: &[&SLOTS, &KEY, &ORIGINS, &URL, &RULE] };

    fn of(text: &str) -> (Vec<Entry>, Vec<String>) {
        let (entries, wrong) = read(Path::new("t.toml"), text, &[&WORK]);
        (entries, wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_are_read_with_their_lines_and_names() {
        let text =
            "[work]\nslots = 0x5\norigins = [\"a\", \"b\"]\n\n[work.http.\"report.generate\"]\nurl = \"http://x\"\n";
        let (entries, wrong) = of(text);
        assert!(wrong.is_empty(), "{wrong:?}");
        let told: Vec<_> = entries.iter().map(|it| (it.setting.key, it.text.as_str(), it.line)).collect();
        assert!(told.contains(&("work.slots", "5", 2)) && told.contains(&("work.origins", "a,b", 3)), "{told:?}");
        let url = entries.iter().find(|it| it.setting == &URL).unwrap();
        assert_eq!((url.names.as_slice(), url.line), (&["report.generate".to_owned()][..], 6));
    }

    #[test]
    fn a_table_is_read_as_json() {
        let text = "[work.rules.r]\nat = 2030-01-01T00:00:00Z\n[work.rules.r.task]\ntype = 't'\npayload = [1, 0.5, { a = true }]\n";
        let (entries, wrong) = of(text);
        assert!(wrong.is_empty(), "{wrong:?}");
        let told: Vec<_> = entries.iter().map(|it| (it.setting.key, it.names[0].as_str(), it.text.as_str())).collect();
        let json = r#"{"at":"2030-01-01T00:00:00Z","task":{"payload":[1,0.5,{"a":true}],"type":"t"}}"#;
        assert_eq!(told, [("work.rules.*", "r", json)]);
        let (_, wrong) = of("[work.rules]\nr = 1\n[work.rules.s]\na = inf\n");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn everything_wrong_is_named_with_its_line() {
        let (_, wrong) = of("[work]\nslots = 10\norigins = [1]\nkey = 5\nhttp = 1\nslotz = 5\n[wrok]\n");
        let told = wrong.join("\n");
        for part in ["t.toml:2", "from 1 to 9", "t.toml:3", "t.toml:4", "t.toml:5", "work.slotz", "work.slots", "wrok"]
        {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        assert_eq!(wrong.len(), 6, "{told}");
    }

    #[test]
    fn what_is_no_toml_is_named_by_its_line_and_not_shown() {
        let (_, wrong) = of("[work]\nslots = 5\nkey = \"s3cret\n");
        assert!(wrong[0].contains("t.toml:3") && !wrong[0].contains("s3cret"), "{wrong:?}");
    }

    #[test]
    fn fragments_come_in_the_order_of_their_names_after_the_file_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Files::find(None, dir.path()).unwrap(), Files::default());
        fs::create_dir(dir.path().join(FRAGMENTS)).unwrap();
        for name in ["config/20.toml", "config/10.toml", "config/notes.txt", NAME] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = Files::find(None, dir.path()).unwrap();
        let names: Vec<_> =
            found.paths.iter().map(|it| it.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!((names.as_slice(), found.ours), (&[NAME, "config/10.toml", "config/20.toml"][..], true));
    }
}
