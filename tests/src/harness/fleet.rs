//! Servers and workers on a store of their own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use serde_json::Value;
use tasklane_testkit::http::Connection;
use tasklane_testkit::postgres::Cluster;
use tasklane_testkit::service::Service;
use tasklane_testkit::{Ledger, Server, ServerOptions, Signal, WorkerProcess};

use super::ground::Ground;
use super::target;

/// The type that workers do by calling the target.
pub const EFFECT: &str = "story.effect";
/// The type that the reporter does.
pub const REPORTED: &str = "story.reported";
/// Longer than what a busy machine stalls, short enough for a story.
pub const LEASE_SECONDS: &str = "4";

/// The whole of it. Dropped in the order of its fields: whoever needs another goes first.
pub struct Fleet {
    /// They do the work of [`EFFECT`].
    pub workers: Vec<RwLock<Option<WorkerProcess>>>,
    /// All of one store.
    pub servers: Vec<RwLock<Server>>,
    /// How many of them can take work.
    up: AtomicUsize,
    target: Service,
    /// What was seen from outside.
    pub ledger: Arc<Ledger>,
    /// Calls that servers refused.
    pub refusals: Ledger,
    /// What they keep their tasks in.
    pub ground: Ground,
    _dir: tempfile::TempDir,
}

impl Fleet {
    /// Starts them.
    pub fn start(ground: Ground, servers: usize, workers: usize) -> Self {
        Self::start_as(None, ground, servers, workers)
    }

    /// The same, with servers that are this program.
    pub fn start_as(program: Option<PathBuf>, ground: Ground, servers: usize, workers: usize) -> Self {
        let dir = tempfile::TempDir::with_prefix("tasklane-fleet-").unwrap();
        let ledger = Arc::new(Ledger::open(&dir.path().join("ledger")));
        let refusals = Ledger::open(&dir.path().join("refusals"));
        let target = target::start(Arc::clone(&ledger));
        let up = AtomicUsize::new(servers);
        let server = || {
            let options = ServerOptions { program: program.clone(), ..ground.server(dir.path()) };
            options.with_env("TASKLANE_OUTBOUND_ALLOW", "127.0.0.1")
        };
        let servers = (0..servers).map(|_| RwLock::new(server().start())).collect();
        let mut fleet = Self { workers: Vec::new(), servers, up, target, ledger, refusals, ground, _dir: dir };
        fleet.workers = (0..workers).map(|_| RwLock::new(Some(fleet.worker()))).collect();
        for worker in &fleet.workers {
            worker.read().unwrap().as_ref().unwrap().until_says("\"ready\"");
        }
        fleet
    }

    /// The cluster of a fleet on PostgreSQL.
    pub fn cluster(&self) -> &Cluster {
        match &self.ground {
            Ground::Postgres(cluster, _) => cluster,
            Ground::Sqlite | Ground::SqliteAt(_) => panic!("this fleet has no PostgreSQL"),
        }
    }

    /// Whether no server can take work.
    pub fn is_away(&self) -> bool {
        self.up.load(Ordering::Relaxed) == 0
    }

    /// The store is away while this is done, and with it all servers.
    pub fn without_store(&self, done: impl FnOnce()) {
        let up = self.up.swap(0, Ordering::Relaxed);
        done();
        self.up.store(up, Ordering::Relaxed);
    }

    /// A connection to a server, if it takes one.
    pub fn connect(&self, server: usize) -> Option<Connection> {
        Connection::open(self.servers[server].read().unwrap().address()).ok()
    }

    /// Kills a server.
    pub fn kill_server(&self, nth: usize) {
        self.up.fetch_sub(1, Ordering::Relaxed);
        self.servers[nth].write().unwrap().kill();
    }

    /// Asks a server to end, and waits until it has.
    pub fn stop_server(&self, nth: usize) {
        self.up.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(self.servers[nth].write().unwrap().stop().code(), Some(0));
    }

    /// Asks a worker to end, and waits until it has.
    pub fn stop_worker(&self, nth: usize) {
        let mut worker = self.workers[nth].write().unwrap().take().unwrap();
        worker.signal(Signal::Term);
        assert_eq!(worker.wait_end().code(), Some(0));
    }

    /// The next start of a server is the program under test.
    pub fn upgrade_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().upgrade();
    }

    /// Starts one that was killed, without waiting for it.
    pub fn spawn_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().spawn();
    }

    /// Waits until a server that was started takes work.
    pub fn wait_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().wait_ready();
        self.up.fetch_add(1, Ordering::Relaxed);
    }

    /// Kills a worker.
    pub fn kill_worker(&self, nth: usize) {
        drop(self.workers[nth].write().unwrap().take());
    }

    /// Starts one that was killed.
    pub fn start_worker(&self, nth: usize) {
        *self.workers[nth].write().unwrap() = Some(self.worker());
    }

    /// Asks a server for JSON; `None` where it does not answer with 200.
    pub fn ask(&self, server: usize, path: &str) -> Option<Value> {
        let reply = self.connect(server)?.call("GET", path, &[], b"").ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Asks whichever server answers.
    pub fn ask_any(&self, path: &str) -> Option<Value> {
        (0..self.servers.len()).find_map(|server| self.ask(server, path))
    }

    fn worker(&self) -> WorkerProcess {
        let urls: Vec<_> = self.servers.iter().map(|it| it.read().unwrap().url()).collect();
        let bound = format!("[executors.http.\"{EFFECT}\"]\nurl = \"{}\"\n", self.target.url());
        let file = format!("{bound}[outbound]\nallow = [\"127.0.0.1\"]\n");
        WorkerProcess::start(&urls, &["--lease-seconds", LEASE_SECONDS, "--slots", "4"], &[], &file)
    }
}
