//! Other task queues on PostgreSQL, measured beside Tasklane on the same machine with the same server settings: all tasks
//! are added first, then worked through, each by the fastest settings its makers offer (`peer/postgres/driver.mjs`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;
use crate::load::block_on;
use crate::machine::{monotonic_ns, seconds_since};
use crate::place::Place;
use crate::postgres;
use crate::process::{Worker, wait_for_all};
use crate::report::{Line, Sample, rate, sample};
use crate::settings::Settings;

const TASKS: usize = 100_000;
/// A peer that has handled everything and does not record it for this long is given up.
const PATIENCE_SECONDS: f64 = 60.0;

/// One of them.
struct Peer {
    /// The name of its line.
    line: &'static str,
    /// Its name to the driver.
    name: &'static str,
    /// Processes that work at once.
    workers: usize,
    /// Whether it has recorded everything as done.
    done: &'static str,
}

const GRAPHILE: Peer = Peer {
    line: "graphile_worker",
    name: "graphile-worker",
    workers: 2,
    done: "SELECT NOT EXISTS (SELECT 1 FROM graphile_worker._private_jobs)",
};
const PG_BOSS: Peer = Peer {
    line: "pg_boss",
    name: "pg-boss",
    workers: 1,
    done: "SELECT NOT EXISTS (SELECT 1 FROM pgboss.job WHERE name = 'q' AND state < 'completed')",
};

/// Prints the line `graphile_worker`.
pub fn graphile_worker(settings: &Settings) -> Result<(), Failure> {
    run(settings, &GRAPHILE)
}

/// Prints the line `pg_boss`.
pub fn pg_boss(settings: &Settings) -> Result<(), Failure> {
    run(settings, &PG_BOSS)
}

fn run(settings: &Settings, peer: &Peer) -> Result<(), Failure> {
    let modules = installed(settings)?;
    let tasks = settings.tasks(TASKS);
    let line = Line { name: peer.line, by: "per_second" };
    line.measure(settings, || {
        let place = Place::fresh(settings)?;
        let url = place.url().ok_or("no database")?;
        let step = Step { peer, url, modules: &modules, dir: place.dir() };
        step.measure(tasks)
    })?;
    Ok(())
}

/// The folder of their packages, filled by the first who asks.
fn installed(settings: &Settings) -> Result<PathBuf, Failure> {
    let modules = settings.kept_dir("peers");
    if !modules.join("node_modules/pg-boss").exists() {
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/postgres/install");
        let status = Command::new(install).arg(&modules).stdin(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("the peers cannot be installed: {status}").into());
        }
    }
    Ok(modules)
}

/// What a step of the driver needs to know.
struct Step<'a> {
    peer: &'a Peer,
    url: &'a str,
    modules: &'a Path,
    dir: &'a Path,
}

impl Step<'_> {
    fn measure(&self, tasks: usize) -> Result<Sample, Failure> {
        self.run("setup", tasks)?;
        let seconds: f64 = self.run("fill", tasks)?.trim().parse()?;
        let spawn = |_| Worker::spawn(self.command("work", tasks), self.dir);
        let workers = (0..self.peer.workers).map(spawn).collect::<Result<Vec<_>, _>>()?;
        let seen = wait_for_all(&workers, tasks)?;
        let recorded = self.recorded()?;
        let handled = (seen.last - seen.first) as f64 / 1e9;
        Ok(rate(tasks, (recorded - seen.first) as f64 / 1e9).with(sample! {
            "handled_per_second": tasks as f64 / handled,
            "insert_per_second": tasks as f64 / seconds,
            "worker_processes": self.peer.workers,
        }))
    }

    fn command(&self, step: &str, tasks: usize) -> Command {
        let mut command = Command::new(self.modules.join("node_modules/node/bin/node"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/postgres/driver.mjs"));
        command.args([self.peer.name, step, &tasks.to_string()]);
        command.env("PEER_URL", self.url).env("PEER_MODULES", self.modules).env("PEER_RUN", self.dir);
        command
    }

    fn run(&self, step: &str, tasks: usize) -> Result<String, Failure> {
        let output = self.command(step, tasks).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{} {step}: {}", self.peer.name, output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// When the database says that nothing is left to do (ns).
    fn recorded(&self) -> Result<i64, Failure> {
        let began = monotonic_ns();
        block_on(async {
            let client = postgres::connect(self.url).await?;
            while !client.query_one(self.peer.done, &[]).await?.get::<_, bool>(0) {
                if seconds_since(began) > PATIENCE_SECONDS {
                    return Err(format!("{} does not record what it did", self.peer.name).into());
                }
            }
            Ok(monotonic_ns())
        })
    }
}
