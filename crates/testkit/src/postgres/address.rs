//! Where a cluster listens, and what can be asked of it from there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::programs::{attempt, command, run};

/// The database that exists in every cluster.
const FIRST: &str = "postgres";
/// Longest name that a number and a process id still fit behind: PostgreSQL cuts names at 63 bytes.
const NAME_BYTES: usize = 40;

/// A cluster that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    // Scheme, user, host and port.
    base: String,
}

impl Address {
    pub(super) fn of_port(port: u16) -> Self {
        Self { base: format!("postgres://postgres@127.0.0.1:{port}") }
    }

    pub(super) fn of_url(url: &str) -> Self {
        let base = url.strip_suffix("/postgres").expect("a URL of the database postgres");
        Self { base: base.to_owned() }
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL with a port")
    }

    /// The URL of the database `postgres`, which is nobody's.
    pub fn url(&self) -> String {
        self.url_of(FIRST)
    }

    /// The URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// The URL of a database on whichever of this cluster and its standby takes writes.
    pub fn url_with(&self, standby: &Self, database: &str) -> String {
        let other = standby.base.rsplit('@').next().unwrap_or_default();
        format!("{},{other}/{database}?target_session_attrs=read-write", self.base)
    }

    /// Makes an empty database, named after `name`, and answers with its URL. A database costs a quarter of a second, a
    /// [`schema`](Self::schema) a hundredth.
    pub fn database(&self, name: &str) -> String {
        self.create(name, "template0")
    }

    /// Makes a database as a copy of that of the URL `template`, to which nobody may be connected.
    pub fn database_like(&self, name: &str, template: &str) -> String {
        self.create(name, database_of(template))
    }

    /// Makes an empty database that is dropped with the answer.
    pub fn scratch(&self, name: &str) -> Scratch {
        Scratch { address: self.clone(), url: self.database(name) }
    }

    /// Makes an empty schema, named after `name`, in the database `postgres`, and answers with a URL whose sessions work
    /// in it. Locks by number and channels of notifications are still everybody's.
    pub fn schema(&self, name: &str) -> String {
        let name = unique(name);
        self.sql(&format!(r#"CREATE SCHEMA "{name}""#));
        format!("{}?options=-csearch_path%3D{name}", self.url())
    }

    fn create(&self, name: &str, template: &str) -> String {
        let name = unique(name);
        self.sql(&format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}""#));
        self.url_of(&name)
    }

    /// Drops the database of a URL, whoever is connected to it.
    pub fn drop_database(&self, url: &str) {
        self.sql(&format!(r#"DROP DATABASE IF EXISTS "{}" WITH (FORCE)"#, database_of(url)));
    }

    /// Runs a statement in the database `postgres`: a line a row, `|` between columns. Panics where it fails.
    pub fn sql(&self, statement: &str) -> String {
        sql(&self.url(), statement).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Runs a statement in the database of a URL; the error says what PostgreSQL said.
    pub fn sql_in(&self, url: &str, statement: &str) -> Result<String, String> {
        sql(url, statement)
    }

    /// Everything the database of a URL holds, as statements.
    pub fn dump(&self, url: &str) -> String {
        let mut dump = command("pg_dump", Path::new("/"));
        run(dump.args(["--no-owner", "-d", url]))
    }

    /// Carries out what [`dump`](Self::dump) answered, in the empty database of a URL.
    pub fn load(&self, url: &str, dump: &str) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), dump).expect("a temporary file can be written");
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o644)).expect("an own file");
        let mut psql = command("psql", Path::new("/"));
        run(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"]).arg(file.path()));
    }

    /// Process ids of the sessions of clients for which a condition over `pg_stat_activity` holds, our own never.
    pub fn sessions(&self, condition: &str) -> Vec<u32> {
        let pids = self.sql(&format!("SELECT pid {}", of_clients(condition)));
        pids.lines().map(|pid| pid.parse().expect("a process id")).collect()
    }

    /// Ends these sessions as an operator would, and answers how many there were.
    pub fn terminate(&self, condition: &str) -> usize {
        let count = self.sql(&format!("SELECT count(pg_terminate_backend(pid)) {}", of_clients(condition)));
        count.parse().expect("a number")
    }
}

fn of_clients(condition: &str) -> String {
    format!("FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND ({condition})")
}

/// A database that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    address: Address,
    url: String,
}

impl Scratch {
    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A cluster that a story stopped takes its databases along.
        let statement = format!(r#"DROP DATABASE IF EXISTS "{}" WITH (FORCE)"#, database_of(&self.url));
        let _ = sql(&self.address.url(), &statement);
    }
}

/// A name for a schema that no other test uses, of this process or another.
pub fn fresh_schema_name() -> String {
    unique("schema")
}

fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(name.bytes().all(plain) && name.len() <= NAME_BYTES, "{name:?}: a name of a-z, 0-9 and _ is wanted");
    format!("{name}_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn database_of(url: &str) -> &str {
    let path = url.rsplit_once('/').map_or(url, |(_, path)| path);
    path.split('?').next().unwrap_or(path)
}

fn sql(url: &str, statement: &str) -> Result<String, String> {
    let mut psql = command("psql", Path::new("/"));
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]);
    Ok(attempt(&mut psql)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_database_and_both_hosts() {
        let (first, second) = (Address::of_port(5001), Address::of_port(5002));
        assert_eq!(first.url_of("tasks"), "postgres://postgres@127.0.0.1:5001/tasks");
        let both = first.url_with(&second, "tasks");
        assert_eq!(both, "postgres://postgres@127.0.0.1:5001,127.0.0.1:5002/tasks?target_session_attrs=read-write");
        assert_eq!(database_of(&both), "tasks");
        assert_eq!(Address::of_url(&first.url()), first);
    }

    #[test]
    fn names_are_never_given_twice() {
        assert_ne!(fresh_schema_name(), fresh_schema_name());
    }
}
