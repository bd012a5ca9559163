//! Schedules that the configuration sets up.

use tasklane_core::schedule::Source;
use tasklane_engine::NewSchedule;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::schedule::ScheduleDraft;

use super::Settings;
use super::setting::{Kind, Section, Setting};
use super::settings::Found;
use crate::error::StartError;

/// Most schedules that a configuration may set up.
pub const SCHEDULES: usize = 1_000;

/// One of them.
pub const SCHEDULE: Setting = Setting {
    key: "schedules.*",
    kind: Kind::Table,
    doc: "A schedule of this name",
    more: "Its members are those of `POST /v1/schedules` but for `name` and `paused`: `cron`, `every` or `at`, `timezone`, \
           `task`, `overlap`, `missed`, `jitter`, `starts_at`, `ends_at`.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "schedules",
    doc: "Rules that make tasks at times, by their names: `[schedules.nightly]`. They are applied when a server starts; one \
          that is no longer here is removed then. Servers of one database need the same.",
    settings: &[&SCHEDULE],
};

/// The schedules of the configuration.
///
/// # Errors
/// One cannot be read, or there are too many.
pub fn read(settings: &Settings) -> Result<Vec<NewSchedule>, StartError> {
    let schedules =
        settings.named(&SCHEDULE).map(|(names, found)| one(names.first().map_or("", String::as_str), found));
    let schedules = schedules.collect::<Result<Vec<_>, _>>()?;
    match schedules.len() {
        0..=SCHEDULES => Ok(schedules),
        many => Err(StartError::setting("schedules", &many.to_string(), &format!("at most {SCHEDULES} tables"))),
    }
}

fn one(name: &str, found: &Found) -> Result<NewSchedule, StartError> {
    let refused = |why: String| StartError::Schedule { place: found.origin.to_string(), name: name.to_owned(), why };
    let text = found.text.as_deref().unwrap_or_default();
    let valid = validate(text.as_bytes(), 0).map_err(|error| refused(error.to_string()))?;
    let mut findings = Findings::default();
    let mut draft = ScheduleDraft::read(Value::new(valid), &Path::ROOT, &mut findings);
    for (key, is_there) in [("name", draft.name.is_some()), ("paused", draft.paused.is_some())] {
        if is_there {
            findings.unknown(&Path::ROOT.key(key));
        }
    }
    draft.name = Some(name.into());
    match draft.into_new(&mut findings) {
        Some((name, rule)) if findings.is_empty() => {
            Ok(NewSchedule { name, source: Source::Config, rule, paused: false })
        }
        _ => {
            let told = findings.into_errors().into_iter().map(|it| format!("{} {}", it.path, it.message));
            Err(refused(told.map(|it| it.trim().to_owned()).collect::<Vec<_>>().join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tasklane_core::schedule::{Overlap, When};

    use super::*;

    fn schedules(text: &str) -> Result<Vec<NewSchedule>, StartError> {
        read(&Settings::of_text(text)?)
    }

    #[test]
    fn a_schedule_is_a_table() {
        let text = "[schedules.nightly]\ncron = '0 3 * * *'\ntimezone = 'Europe/Berlin'\noverlap = 'skip'\n\
            [schedules.nightly.task]\ntype = 'report'\npayload = { day = '{slot.date}' }\n";
        let read = schedules(text).unwrap();
        let NewSchedule { name, source, rule, paused } = &read[0];
        assert_eq!((&**name, *source, *paused, rule.overlap), ("nightly", Source::Config, false, Overlap::Skip));
        assert_eq!(rule.when, When::Cron { pattern: "0 3 * * *".into(), zone: "Europe/Berlin".into() });
        assert_eq!((&*rule.task.task_type, &*rule.task.payload), ("report", r#"{"day":"{slot.date}"}"#));
        assert_eq!(schedules("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, told) in [
            ("[schedules.a]\nevery = '1h'\n", "the schedule \"a\": /task this field is required"),
            ("[schedules.a]\ntask = { type = 't' }\n", "one of cron, every and at is required"),
            ("[schedules.a]\nevery = 5\ntask = { type = 't' }\n", "/every must be a string, not a number"),
            ("[schedules.a]\nevery = '1h'\nname = 'b'\ntask = { type = 't' }\n", "/name there is no such field"),
            ("[schedules]\na = 1\n", "schedules.a is \"1\", which is not a table"),
        ] {
            let refusal = schedules(text).unwrap_err().to_string();
            assert!(refusal.contains("tasklane.toml:") && refusal.contains(told), "{text}: {refusal}");
        }
    }
}
