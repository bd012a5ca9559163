//! No cluster outlives the process that started it, however that process ends.

use std::path::Path;
use std::process::{Child, Command, Stdio};

// It reads until the pipe from us is closed: by our drop, or by the system when we are gone. Interrupts of the terminal
// are for us. A process id may have gone to somebody else since, so its name is looked at; one that ended and was not
// waited for yet is gone.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
server() { [ -n "$pid" ] && grep -q '(postgres) [^ZX]' "/proc/$pid/stat" 2>/dev/null; }
if server; then kill -QUIT "$pid"; fi
for _ in $(seq 500); do
    server || break
    sleep 0.02
done
rm -rf "$1"
"#;

/// Ends the cluster in a directory and removes the directory, once it is dropped or its process is gone.
#[derive(Debug)]
pub struct Watch(Child);

impl Watch {
    /// Begins to watch.
    pub fn over(dir: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "watch"]).arg(dir).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("sh runs"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
