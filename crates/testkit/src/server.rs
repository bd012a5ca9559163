//! The real server as a process of its own, in a directory of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Connection, Reply};
use crate::process::{self, Signal};
use crate::{binary, port};

/// Longest time a start may take before a test gives up. Stories that promise less measure it themselves.
const START: Duration = Duration::from_secs(20);
/// Longest time a story waits for a task to lease.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longest time from SIGTERM to the end.
const STOP: Duration = Duration::from_secs(20);
/// Variables that would change what a server does; a test's server sees none of the caller's.
const FOREIGN: &[&str] =
    &["DATABASE_URL", "API_KEYS", "ADMIN_API_KEYS", "LOG_LEVEL", "REDIS_URL", "CELERY_BROKER_URL", "DEBUG"];

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The command that serves; `serve` where `None`.
    pub command: Option<&'static str>,
    /// The program; the one under test where `None`.
    pub program: Option<PathBuf>,
    /// On which of this machine's addresses it listens; on the local one where `None`.
    pub listen: Option<Ipv4Addr>,
    /// Where it keeps its data; a directory of its own where `None`.
    pub data_dir: Option<PathBuf>,
    /// The file that it logs into; one in a directory of its own where `None`.
    pub log: Option<PathBuf>,
    /// Further arguments of the command.
    pub arguments: Vec<OsString>,
    /// Further variables of its environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl ServerOptions {
    /// A server without executors of its own: only the story's workers work.
    pub fn without_executors() -> Self {
        Self { arguments: vec!["--no-executors".into()], ..Self::default() }
    }

    /// A server that takes the place of a dialect's own.
    pub fn alone(dialect: &'static str) -> Self {
        Self { command: Some(dialect), ..Self::default() }
    }

    /// The same, listening on every address of this machine, to anybody.
    pub fn for_anybody(mut self) -> Self {
        self.listen = Some(Ipv4Addr::UNSPECIFIED);
        self.arguments.push("--insecure".into());
        self
    }

    /// The same, with its data there.
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// The same, with its log there.
    pub fn logging_to(mut self, file: &Path) -> Self {
        self.log = Some(file.into());
        self
    }

    /// The same, with one more variable.
    pub fn with_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Server {
        let mut server = self.prepare();
        server.start();
        server
    }

    /// A server that is not started yet.
    pub fn prepare(self) -> Server {
        let own = TempDir::with_prefix("tasklane-story-").expect("a temporary directory");
        let data_dir = self.data_dir.clone().unwrap_or_else(|| own.path().join("data"));
        Server { options: self, port: port::free(), data_dir, own, child: None }
    }
}

/// A server process. Dropped, it is killed, and no process of it may be left.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    port: u16,
    data_dir: PathBuf,
    own: TempDir,
    child: Option<Child>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A directory that goes when the server is dropped, for the story's own files.
    pub fn dir(&self) -> &Path {
        self.own.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server was started").id()
    }

    /// Everything it logged since the directory was made, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.options.log.clone().unwrap_or_else(|| self.own.path().join("server.log"))
    }

    /// From the next start on it is the program under test, whichever it was.
    pub fn upgrade(&mut self) {
        self.options.program = None;
    }

    /// Starts the process without waiting for it to be ready.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log opens");
        let listen = SocketAddr::from((self.options.listen.unwrap_or(Ipv4Addr::LOCALHOST), self.port));
        let mut command = Command::new(self.options.program.clone().unwrap_or_else(binary::tasklane));
        command
            .args([self.options.command.unwrap_or("serve"), "--listen", &listen.to_string(), "--data-dir"])
            .arg(&self.data_dir);
        command.args(&self.options.arguments);
        clean(&mut command).envs(self.options.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("the server can be started"));
    }

    /// Starts it and waits until it is ready.
    pub fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits until it takes work.
    pub fn wait_ready(&mut self) {
        process::until("the server to be ready", START, || {
            if let Some(status) = self.child.as_mut().and_then(|it| it.try_wait().expect("a child can be looked at")) {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            let reply = Connection::open(self.address()).and_then(|mut it| it.call("GET", "/ready", &[], b""));
            reply.ok().filter(|it| it.status == 200).map(drop)
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Ends it with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server was started");
        child.kill().expect("an own child can be killed");
        child.wait().expect("an own child can be waited for");
    }

    /// Asks it to end and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::Term);
        self.wait_end()
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server was started");
        process::until("the server to end", STOP, || child.try_wait().expect("a child can be looked at"))
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("the server listens")
    }

    /// A connection to it, if it takes one.
    pub fn connect_if_it_listens(&self) -> Option<Connection> {
        Connection::open(self.address()).ok()
    }

    /// One request without body on a connection of its own.
    pub fn get(&self, path: &str) -> Reply {
        self.connect().call("GET", path, &[], b"").unwrap_or_else(|why| panic!("GET {path}: {why}"))
    }

    /// One POST of JSON on a connection of its own.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.connect().json("POST", path, body).unwrap_or_else(|why| panic!("POST {path}: {why}"))
    }

    /// One POST without body (an action) on a connection of its own.
    pub fn act(&self, path: &str) -> Reply {
        self.connect().call("POST", path, &[], b"").unwrap_or_else(|why| panic!("POST {path}: {why}"))
    }

    /// Submits a task and answers with its id.
    pub fn submit(&self, task: &Value) -> String {
        let reply = self.post("/v1/tasks", task).expect(201);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The task as it is now.
    pub fn task(&self, id: &str) -> Value {
        self.get(&format!("/v1/tasks/{id}")).expect(200).json()
    }

    /// The task when it is final.
    pub fn finished(&self, id: &str) -> Value {
        let task = self.get(&format!("/v1/tasks/{id}?wait=60s")).expect(200).json();
        let word = task["state"].as_str().unwrap_or_default();
        assert!(matches!(word, "succeeded" | "failed" | "cancelled" | "expired"), "not final after 60 s: {task}");
        task
    }

    /// Takes up to `limit` tasks of a type, waiting for the first. As every worker does, it asks again where it was sent
    /// away with nothing.
    pub fn lease(&self, worker: &str, task_type: &str, limit: usize, length: &str) -> Vec<Value> {
        let request = json!({
            "worker": worker, "lanes": [{ "types": [task_type] }], "limit": limit, "lease": length, "wait": "20s",
        });
        process::until("a task to lease", PATIENCE, || Some(self.tasks_of(&request)).filter(|it| !it.is_empty()))
    }

    /// Takes a task of a type if there is one now.
    pub fn lease_now(&self, worker: &str, task_type: &str) -> Vec<Value> {
        self.tasks_of(&json!({ "worker": worker, "lanes": [{ "types": [task_type] }], "limit": 1 }))
    }

    /// The tasks a lease request gets.
    pub fn tasks_of(&self, request: &Value) -> Vec<Value> {
        let reply = self.post("/v1/leases", request);
        if reply.status == 204 {
            return Vec::new();
        }
        reply.expect(200).json()["tasks"].as_array().expect("a list").clone()
    }

    /// Sends a report and answers with what it got.
    pub fn report(&self, report: &Value) -> Value {
        self.post("/v1/reports", report).expect(200).json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id();
            let _ = child.kill();
            let _ = child.wait();
            if !thread::panicking() {
                assert_eq!(process::state(pid), None, "the server is still there");
            }
        }
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            let lines = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            // Printed through the harness, which shows it beside the failure.
            #[expect(clippy::print_stderr, reason = "the log of a server whose story failed")]
            {
                eprintln!("--- the server's last words\n{lines}");
            }
        }
    }
}

/// Takes from a command every variable that would change what Tasklane does.
pub fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("TASKLANE_") || FOREIGN.contains(&&*name) {
            command.env_remove(&*name);
        }
    }
    command
}
