//! What can be seen without a server: settings, variables, the disk below the data.

use tasklane_server::config::{self, store};
use tasklane_server::{Environment, Settings, disk};

use super::Check;
use crate::remote::Remote;

/// Parts of a hundred of the disk in use from which on it is worth a look, and from which on it is bad.
const FILLING: u64 = 85;
const FULL: u64 = 97;

pub(super) fn checks(remote: &Remote, settings: &Settings, environment: &Environment) -> Vec<Check> {
    let mut checks = vec![said(settings)];
    checks.extend(variables(environment));
    if remote.is_this_machine() {
        checks.extend(disk_of(settings));
    }
    checks
}

fn said(settings: &Settings) -> Check {
    let files: Vec<_> = settings.files().iter().map(|it| it.display().to_string()).collect();
    match settings.skipped().first() {
        Some(path) => Check::look(
            "settings",
            format!("{} has no section of Tasklane and is not read", path.display()),
            "nothing, if it belongs to another program; else put a tasklane.toml beside its directory",
        ),
        None if files.is_empty() => Check::good("settings", "no file; what the environment says and the defaults"),
        None => Check::good("settings", format!("read from {}", files.join(", "))),
    }
}

fn variables(environment: &Environment) -> Option<Check> {
    let unknown = config::unknown(environment);
    let (name, nearest) = unknown.first()?;
    let remedy = nearest.map_or_else(|| "unset it".to_owned(), |it| format!("is {it} meant?"));
    Some(Check::look("variables", format!("{name} is set, but nothing reads it"), remedy))
}

/// Only where the data of these settings is; another server's is not seen from here.
fn disk_of(settings: &Settings) -> Option<Check> {
    let dir = store::data_dir(settings);
    let (used, all) = disk::usage(&dir)?;
    let free = (all - used) >> 20;
    let found = format!("{free} MiB are free below {}", dir.display());
    let remedy = "free some space: on a full disk new tasks are refused, while those that were accepted go on";
    Some(match used * 100 / all.max(1) {
        FULL.. => Check::bad("disk", found, remedy),
        FILLING.. => Check::look("disk", found, remedy),
        _ => Check::good("disk", found),
    })
}
