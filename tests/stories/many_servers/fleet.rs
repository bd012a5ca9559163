//! Servers and workers on one PostgreSQL cluster of their own.

use std::sync::{Arc, RwLock};

use serde_json::Value;
use tasklane_testkit::http::Connection;
use tasklane_testkit::postgres::{Cluster, Options};
use tasklane_testkit::service::Service;
use tasklane_testkit::{Ledger, Server, ServerOptions, WorkerProcess};

use super::target;

/// The type that workers do by calling the target.
pub const EFFECT: &str = "story.effect";
/// The type that the reporter does.
pub const REPORTED: &str = "story.reported";
/// Longer than what a busy machine stalls, short enough for a story.
pub const LEASE_SECONDS: &str = "4";

/// The whole of it. Dropped in the order of its fields: whoever needs another goes first.
pub struct Fleet {
    pub workers: Vec<RwLock<Option<WorkerProcess>>>,
    pub servers: Vec<RwLock<Server>>,
    target: Service,
    pub ledger: Arc<Ledger>,
    pub cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl Fleet {
    /// Starts them on a new cluster with PostgreSQL's defaults: what is answered is on disk.
    pub fn start(servers: usize, workers: usize) -> Self {
        let cluster = Cluster::start(Options::full());
        let url = cluster.database("fleet");
        Self::on(cluster, &url, servers, workers)
    }

    /// Starts them on the database of that URL.
    pub fn on(cluster: Cluster, url: &str, servers: usize, workers: usize) -> Self {
        let dir = tempfile::TempDir::with_prefix("tasklane-fleet-").unwrap();
        let ledger = Arc::new(Ledger::open(&dir.path().join("ledger")));
        let target = target::start(Arc::clone(&ledger));
        let servers = (0..servers).map(|_| RwLock::new(server(url).start())).collect();
        let mut fleet = Self { workers: Vec::new(), servers, target, ledger, cluster, _dir: dir };
        fleet.workers = (0..workers).map(|_| RwLock::new(Some(fleet.worker()))).collect();
        for worker in &fleet.workers {
            worker.read().unwrap().as_ref().unwrap().until_says("\"ready\"");
        }
        fleet
    }

    /// The base URL and the address of a server, whether it runs or not.
    pub fn connect(&self, server: usize) -> Option<Connection> {
        Connection::open(self.servers[server].read().unwrap().address()).ok()
    }

    /// Kills a server.
    pub fn kill_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().kill();
    }

    /// Starts one that was killed, without waiting for it.
    pub fn spawn_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().spawn();
    }

    /// Waits until a server that was started takes work.
    pub fn wait_server(&self, nth: usize) {
        self.servers[nth].write().unwrap().wait_ready();
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

/// A server on that database, not started. Its work is done elsewhere.
pub fn server(url: &str) -> ServerOptions {
    ServerOptions::without_executors().with_env("TASKLANE_DATABASE_URL", url)
}
