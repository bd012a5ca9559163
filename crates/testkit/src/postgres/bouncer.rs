//! A private PgBouncer in transaction mode before a cluster.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::address::Address;
use super::programs::user;
use crate::port;
use crate::process::until;

/// Where Debian puts the program, which is on the `PATH` of root alone.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
/// Longest time it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

// It ends with the pipe from us, like a cluster.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
exec 3<&0
"$1" "$2" </dev/null >"$3" 2>&1 &
cat <&3 >/dev/null
kill -KILL $!
wait
"#;

/// A PgBouncer that gives a connection for one transaction. It ends when this is dropped or its process is gone.
#[derive(Debug)]
pub struct Bouncer {
    address: Address,
    shell: Child,
    dir: TempDir,
}

impl Bouncer {
    /// Starts one before a cluster of this machine, with so many connections to a database.
    /// `more` are further lines of its configuration.
    pub fn before(cluster: &Address, connections: usize, more: &str) -> Self {
        let dir = TempDir::with_prefix("tasklane-pool-").expect("a temporary directory");
        let (own, ini) = (port::free(), dir.path().join("pgbouncer.ini"));
        let lines = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {own}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n{more}\n",
            cluster.port()
        );
        fs::write(&ini, lines).expect("the configuration can be written");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("an own directory");
        fs::write(dir.path().join("log"), "").expect("a log can be made");
        fs::set_permissions(dir.path().join("log"), fs::Permissions::from_mode(0o666)).expect("an own file");
        let program = if Path::new(DEBIAN).exists() { DEBIAN } else { "pgbouncer" };
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "pool", program]).arg(&ini).arg(dir.path().join("log")).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = user() {
            shell.uid(user).gid(group);
        }
        let shell = shell.spawn().expect("sh runs");
        let bouncer = Self { address: Address::of_port(own), shell, dir };
        until("PgBouncer to listen", PATIENCE, || TcpStream::connect(("127.0.0.1", own)).ok());
        bouncer
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
