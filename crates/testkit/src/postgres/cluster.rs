//! A cluster of a test's own: started, stopped, struck at.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::address::Address;
use super::programs::{attempt, command, run, user};
use super::watch::Watch;
use crate::port;

/// Longest path of a Unix socket's directory, so that the socket's own name fits.
const SOCKET_DIR_BYTES: usize = 80;
/// Seconds a start or stop may take.
const PATIENCE: &str = "60";
/// How often a start is tried: the port that was free may be taken by the time it is used.
const TRIES: usize = 3;

/// What a commit costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is synced: for suites that ask what is answered, not what survives the machine.
    Fast,
    /// PostgreSQL's defaults: an answered commit is on disk.
    Full,
}

/// How a cluster is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Sessions are ended, then the server ends in order.
    Fast,
    /// As in a crash: the next start recovers.
    Immediate,
}

impl End {
    fn mode(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a commit costs.
    pub durability: Durability,
    /// Under which directory its data lies; the system's for temporary files where `None`.
    pub parent: Option<PathBuf>,
    /// Further settings of `postgresql.conf`.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Nothing synced, many sessions.
    pub fn fast() -> Self {
        Self { durability: Durability::Fast, parent: None, settings: Vec::new() }.with("max_connections", "400")
    }

    /// Defaults all over.
    pub fn full() -> Self {
        Self { durability: Durability::Full, parent: None, settings: Vec::new() }
    }

    /// The same, with its data under that directory.
    pub fn under(mut self, parent: &Path) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// The same, with one more setting.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The lines of `postgresql.conf`, but for the port.
    fn lines(&self, dir: &Path) -> String {
        let socket = if dir.as_os_str().len() <= SOCKET_DIR_BYTES { dir.display().to_string() } else { String::new() };
        let mut lines = format!("listen_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\n");
        if self.durability == Durability::Fast {
            lines += "fsync = off\nfull_page_writes = off\n";
        }
        self.settings.iter().fold(lines, |lines, (name, value)| format!("{lines}{name} = '{value}'\n"))
    }
}

/// A private PostgreSQL. It ends when this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct Cluster {
    pub(super) address: Address,
    dir: PathBuf,
    // Last: it removes the directory.
    _watch: Watch,
}

impl Deref for Cluster {
    type Target = Address;

    fn deref(&self) -> &Address {
        &self.address
    }
}

impl Cluster {
    /// Makes and starts one.
    pub fn start(options: Options) -> Self {
        let lines = |dir: &Path| options.lines(dir);
        Self::make(options.parent.as_deref(), lines, |data| {
            let mut initdb = command("initdb", Path::new("/"));
            initdb.args(["--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"]);
            run(initdb.arg(data));
        })
    }

    /// One that begins with what a cluster in `dir` left there, as after a cut of the power.
    pub fn of_remains(dir: &Path, options: Options) -> Self {
        let lines = |own: &Path| options.lines(own);
        Self::make(options.parent.as_deref(), lines, |data| {
            run(Command::new("cp").arg("-a").arg(dir.join("data")).arg(data));
            // Who wrote it is not there any more, whatever its number is now.
            let _ = fs::remove_file(data.join("postmaster.pid"));
        })
    }

    /// One whose data `fill` makes, started with further lines of configuration.
    pub(super) fn make(parent: Option<&Path>, lines: impl Fn(&Path) -> String, fill: impl FnOnce(&Path)) -> Self {
        let dir = own_dir(parent);
        let watch = Watch::over(&dir);
        fill(&dir.join("data"));
        let mut tries = 0;
        loop {
            tries += 1;
            let port = port::free();
            let configuration = format!("{}port = {port}\n", lines(&dir));
            fs::write(dir.join("data/tasklane.conf"), configuration).expect("the configuration can be written");
            include(&dir.join("data/postgresql.conf"));
            match control(&dir, &["start", "-l"], Some(&dir.join("log"))) {
                Ok(()) => return Self { address: Address::of_port(port), dir, _watch: watch },
                Err(why) if tries == TRIES => panic!("{why}\n{}", log_of(&dir)),
                Err(_) => {}
            }
        }
    }

    /// Ends it and starts it again, on the same port.
    pub fn restart(&self, end: End) {
        self.stop(end);
        self.start_again();
    }

    /// Ends it; its data stays.
    pub fn stop(&self, end: End) {
        self.control(&["stop", "-m", end.mode()]);
    }

    /// Starts it again, on the same port.
    pub fn start_again(&self) {
        control(&self.dir, &["start", "-l"], Some(&self.dir.join("log")))
            .unwrap_or_else(|why| panic!("{why}\n{}", self.log()));
    }

    /// Where it is a standby, makes it the one that takes writes.
    pub fn promote(&self) {
        self.control(&["promote"]);
    }

    /// Has it read its settings again.
    pub fn reload(&self) {
        self.control(&["reload"]);
    }

    /// The process id of the server, while it runs.
    pub fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("the cluster runs");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a process id")
    }

    /// The directory of its data, its log and its Unix socket.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        log_of(&self.dir)
    }

    fn control(&self, words: &[&str]) {
        control(&self.dir, words, None).unwrap_or_else(|why| panic!("{why}\n{}", self.log()));
    }
}

fn log_of(dir: &Path) -> String {
    fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn control(dir: &Path, words: &[&str], log: Option<&Path>) -> Result<(), String> {
    let mut pg_ctl = command("pg_ctl", dir);
    pg_ctl.args(words).args(log).args(["-s", "-w", "-t", PATIENCE, "-D"]).arg(dir.join("data"));
    attempt(&mut pg_ctl).map(drop)
}

/// A directory that PostgreSQL's user may write to and every test may look into.
fn own_dir(parent: Option<&Path>) -> PathBuf {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let dir = TempDir::with_prefix_in("tasklane-pg-", parent).expect("a temporary directory").keep();
    if let Some((user, group)) = user() {
        chown(&dir, Some(user), Some(group)).expect("root may give a directory away");
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("an own directory");
    dir
}

/// Has the configuration that came with the data read ours, which then wins.
fn include(configuration: &Path) {
    let text = fs::read_to_string(configuration).expect("initdb wrote it");
    if !text.contains("tasklane.conf") {
        fs::write(configuration, text + "\ninclude = 'tasklane.conf'\n").expect("the configuration can be written");
    }
}
