//! PostgreSQL's own programs, and the user they run as: the server refuses to run as root.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where Debian puts the programs of each version, which it keeps off the `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who runs the server where the tests are run by root, in order of preference.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A program of PostgreSQL, to be run by the right user and without the caller's `PG*` variables.
pub fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(directory().join(program));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    // Nor with what the caller keeps at home, which may be closed to that user.
    command.env("HOME", "/").current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs a program to its end and answers with what it printed; panics with its words where it fails.
pub fn run(command: &mut Command) -> String {
    attempt(command).unwrap_or_else(|why| panic!("{why}"))
}

/// The same, with its words as the error.
pub fn attempt(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    Err(format!("{command:?}: {}\n{words}", output.status))
}

/// User and group id that PostgreSQL runs as where we are root, else nothing.
pub fn user() -> Option<(u32, u32)> {
    static USER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *USER.get_or_init(|| {
        let own = fs::metadata("/proc/self").expect("Linux tells who a process belongs to").uid();
        (own == 0)
            .then(|| USERS.into_iter().find_map(ids).expect("root needs a user postgres or nobody for PostgreSQL"))
    })
}

fn ids(user: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> = users.lines().find(|line| line.starts_with(&format!("{user}:")))?.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// The directory of the newest server installed.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut versions: Vec<(u32, PathBuf)> =
            fs::read_dir(DEBIAN).into_iter().flatten().flatten().filter_map(version).collect();
        versions.sort();
        let on_path =
            || env::split_paths(&env::var_os("PATH").unwrap_or_default()).find(|it| it.join("initdb").exists());
        let found = versions.pop().map(|(_, path)| path).or_else(on_path);
        found.expect("PostgreSQL is not installed: neither in /usr/lib/postgresql nor on the PATH (Debian: postgresql)")
    })
}

fn version(entry: fs::DirEntry) -> Option<(u32, PathBuf)> {
    let programs = entry.path().join("bin");
    let number = entry.file_name().to_str()?.parse().ok()?;
    programs.join("initdb").exists().then_some((number, programs))
}
