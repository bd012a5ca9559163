//! Workers of the two SDKs as processes of their own, which write what they do into a ledger.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tasklane_testkit::process::{self, Signal, until};
use tasklane_testkit::server::clean;
use tasklane_testkit::{Ledger, Server, ServerOptions, binary};
use tempfile::TempDir;

use super::PATIENCE;
use super::ground::{Ground, Store};
use super::net::Net;
use super::run::Run;

/// An SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `story-worker`, a program of this crate.
    Rust,
    /// `src/worker.py`, its handlers in threads.
    Python,
    /// The same, its handlers in processes.
    PythonProcesses,
}

/// One server, a ledger, and what is needed to start workers.
pub struct Scene {
    /// The server.
    pub server: Server,
    /// What the workers' handlers do.
    pub ledger: Ledger,
    /// How long the workers' leases are, as they are told it; none: two seconds.
    pub lease: Option<&'static str>,
    round: AtomicU32,
    dir: TempDir,
    _ground: Ground,
}

/// A worker process; killed when dropped.
pub struct Member {
    child: Child,
    /// Its name.
    pub name: String,
    log: PathBuf,
}

impl Scene {
    /// Sets it on a store of its own.
    pub fn new(store: Store) -> Self {
        Self::with(store, &[])
    }

    /// The same, with these variables for the server.
    pub fn with(store: Store, environment: &[(&str, &Path)]) -> Self {
        Self::on(store, |server| environment.iter().fold(server, |server, (name, value)| server.with_env(name, *value)))
    }

    /// The same, with a server that is this one.
    pub fn on(store: Store, server: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let (dir, ground) = (TempDir::with_prefix("tasklane-scene-").unwrap(), Ground::of(store));
        let options = server(ground.server(dir.path()));
        let ledger = Ledger::open(&dir.path().join("ledger"));
        Self { server: options.start(), ledger, lease: None, round: AtomicU32::new(0), dir, _ground: ground }
    }

    /// What is submitted from now on is only for workers that are started from now on: nobody who was killed just now, and
    /// whose wish may still be parked, is given any of it.
    pub fn next_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// The queue of this round.
    pub fn queue(&self) -> String {
        format!("round-{}", self.round.load(Ordering::Relaxed))
    }

    /// Starts a worker of that name.
    pub fn worker(&self, sdk: Sdk, name: &str) -> Member {
        self.worker_of(&self.server.url(), sdk, name, &[])
    }

    /// Starts one that finds the server at another address, with these variables.
    pub fn worker_of(&self, url: &str, sdk: Sdk, name: &str, environment: &[(&str, &Path)]) -> Member {
        let mut command = self.program(url, sdk, name);
        command.envs(environment.iter().copied());
        self.start(command, name)
    }

    /// Starts one on another machine.
    pub fn worker_at(&self, net: &Net, sdk: Sdk, name: &str) -> Member {
        let url = format!("http://{}:{}", net.near(), self.server.address().port());
        self.start(net.far(&self.program(&url, sdk, name)), name)
    }

    fn program(&self, url: &str, sdk: Sdk, name: &str) -> Command {
        let mut command = match sdk {
            Sdk::Rust => Command::new(binary::programs().join("story-worker")),
            Sdk::Python | Sdk::PythonProcesses => {
                let mut command = Command::new("python3");
                command.arg(binary::root().join("tests/src/worker.py"));
                command
            }
        };
        command.args([url, name]).arg(self.ledger.path()).arg(self.gate());
        let mode = if sdk == Sdk::PythonProcesses { "processes" } else { "threads" };
        command.args([mode, self.lease.unwrap_or("2s")]);
        clean(&mut command).env("PYTHONPATH", binary::root().join("sdks/python/src"));
        command.env("STORY_QUEUE", self.queue()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn start(&self, mut command: Command, name: &str) -> Member {
        let log = self.dir.path().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Member { child: command.spawn().unwrap(), name: name.to_owned(), log }
    }

    /// Submits so many tasks with this payload, and answers with their ids. Crashes count, so they may have many.
    pub fn submit(&self, payload: &Value, many: usize) -> Vec<String> {
        let task = json!({ "type": "story", "queue": self.queue(), "payload": payload, "max_attempts": 100 });
        let reply = self.server.post("/v1/tasks:batch", &json!(vec![task; many])).expect(201).json();
        reply["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a handler began that attempt of a task; answers with the worker's name.
    pub fn until_started(&self, id: &str, attempt: u32) -> String {
        let begin = format!("{id} {attempt} ");
        let began = || self.ledger.of("started").iter().find_map(|it| it.strip_prefix(&begin).map(str::to_owned));
        until(&format!("attempt {attempt} of {id}"), PATIENCE, began)
    }

    /// Lets attempts go on that were held.
    pub fn open_gate(&self) {
        fs::write(self.gate(), "").unwrap();
    }

    /// Attempts that begin from now on are held again.
    pub fn close_gate(&self) {
        let _ = fs::remove_file(self.gate());
    }

    fn gate(&self) -> PathBuf {
        self.dir.path().join("gate")
    }

    /// What was settled stays as it was, whoever reports it once more.
    #[track_caller]
    pub fn unchanged(&self, run: &mut Run, done: &[Value]) {
        for task in done {
            let after = self.server.task(task["id"].as_str().unwrap());
            run.line.acked += 1;
            run.line.succeeded += usize::from(after["state"] == "succeeded");
            run.line.doubled += usize::from(after != *task);
            assert_eq!(&after, task, "a late attempt changed a settled task");
        }
    }

    /// The attempts of a task.
    pub fn attempts(&self, id: &str) -> Vec<Value> {
        let attempts = self.server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        attempts["items"].as_array().unwrap().clone()
    }
}

impl Member {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        until("the worker to end", PATIENCE, || self.child.try_wait().unwrap())
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            super::say(&format!("--- worker {}\n{}", self.name, self.log()));
        }
    }
}
