//! System calls of a running process, made to fail or to take long.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tasklane_testkit::process::{Signal, signal, until};

/// The calls by which a file is brought to the disk.
const SYNCS: &str = "fsync,fdatasync";
const PATIENCE: Duration = Duration::from_secs(20);

/// `strace` on a process; dropped, it lets go of it.
pub struct Trace {
    child: Child,
    log: PathBuf,
}

impl Trace {
    /// Has syncs of that process suffer `fault`, in strace's words (`error=EIO:when=3`). `dir` is for its log.
    pub fn of_syncs(pid: u32, fault: &str, dir: &Path) -> Self {
        let (log, said) = (dir.join(format!("trace-{pid}")), dir.join(format!("strace-{pid}")));
        let mut command = Command::new("strace");
        command.args(["-f", "-ttt", "-e", &format!("trace={SYNCS}"), "-e", &format!("inject={SYNCS}:{fault}"), "-o"]);
        command.arg(&log).args(["-p", &pid.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        let child = command.spawn().unwrap();
        until("strace to be attached", PATIENCE, || {
            fs::read_to_string(&said).is_ok_and(|it| it.contains("attached")).then_some(())
        });
        Self { child, log }
    }

    /// The calls so far that have ended.
    pub fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|it| it.contains(" = ")).map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            signal(self.child.id(), Signal::Term);
        }
        let _ = self.child.wait();
    }
}
