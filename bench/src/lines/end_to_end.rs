//! The main job: tasks wait in the queue, then a worker in another process runs them all. Timed from the first handler's
//! start to the last accepted completion, and to the last handler's end. On PostgreSQL also by two servers that share the
//! database, each with a worker of its own.

use std::thread::sleep;
use std::time::Duration;

use crate::Failure;
use crate::http::{Connection, request};
use crate::load::{block_on, fill_all};
use crate::machine::{cpu_seconds, monotonic_ns, rss_mib, seconds_since};
use crate::payload::Spread;
use crate::place::Place;
use crate::process::{Worker, wait_for_all};
use crate::report::{Line, Sample, rate, sample};
use crate::server::Server;
use crate::settings::{Settings, Store};

/// How many tasks the line works through.
pub const TASKS: usize = 200_000;
/// A completion that is not accepted for this long is given up.
const PATIENCE_SECONDS: f64 = 60.0;

/// Prints the lines `end_to_end`.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let line = Line { name: "end_to_end", by: "per_second" };
    let one = line.measure(settings, || measure(settings, 1, Spread::NONE))?;
    settings.known.end_to_end.set(one.number("per_second"));
    if settings.store == Store::Postgres {
        line.measure(settings, || {
            let mut two = measure(settings, 2, Spread::NONE)?;
            two.put("to_one_server", two.number("per_second") / one.number("per_second"));
            Ok(two)
        })?;
    }
    Ok(())
}

/// One run of the line, with so many servers, each with a worker, and tasks spread like this.
pub fn measure(settings: &Settings, servers: usize, spread: Spread) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let servers = Server::start_all(settings, &place, servers)?;
    let job = Job { place: &place, servers: &servers, tasks: settings.tasks(TASKS), spread };
    let mut sample = job.queue_then_work()?;
    if settings.store == Store::Postgres {
        sample.put("servers", servers.len());
        sample.put("to_pg_floor", sample.number("per_second") / settings.known.pg_floor.get());
    }
    for server in servers {
        server.stop()?;
    }
    Ok(sample)
}

/// What is to be done where.
pub struct Job<'a> {
    /// Where the tasks are kept.
    pub place: &'a Place,
    /// Who serves.
    pub servers: &'a [Server],
    /// How many tasks.
    pub tasks: usize,
    /// How they are spread.
    pub spread: Spread,
}

impl Job<'_> {
    /// Queues the tasks, then starts a worker for each server and waits until all of them are settled.
    pub fn queue_then_work(&self) -> Result<Sample, Failure> {
        self.queue_then(|server| Worker::start(server, self.place.dir()))
    }

    /// The same with other workers.
    pub fn queue_then(&self, start: impl Fn(&Server) -> Result<Worker, Failure>) -> Result<Sample, Failure> {
        let watch = self.place.watch();
        block_on(fill_all(self.servers, self.tasks, self.spread))?;
        let filled = watch.figures(self.tasks);
        let watch = self.place.watch();
        let servers: Vec<u32> = self.servers.iter().map(Server::pid).collect();
        let (began, spent) = (monotonic_ns(), sum(&servers, cpu_seconds));
        let workers = self.servers.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let seen = wait_for_all(&workers, self.tasks)?;
        let settled = self.all_settled()?;
        let wall = seconds_since(began);
        let database = watch.figures(self.tasks);
        let workers: Vec<u32> = workers.iter().map(Worker::pid).collect();
        let seconds = (settled - seen.first) as f64 / 1e9;
        let handled = (seen.last - seen.first) as f64 / 1e9;
        let mut sample = rate(self.tasks, seconds).with(sample! {
            "handled_per_second": self.tasks as f64 / handled,
            "seconds_from_worker_start": (settled - began) as f64 / 1e9,
            "server_cores": (sum(&servers, cpu_seconds) - spent) / wall,
            "worker_cores": sum(&workers, cpu_seconds) / wall,
            "server_rss_mib": sum(&servers, rss),
            "worker_rss_mib": sum(&workers, rss),
            "worker_processes": workers.len(),
        });
        if self.place.url().is_some() {
            sample.put("insert_wal_bytes", filled.number("wal_bytes"));
        }
        Ok(sample.with(database))
    }

    fn all_settled(&self) -> Result<i64, Failure> {
        let server = self.servers.first().ok_or("no server")?;
        match self.spread.queues {
            1 => all_settled(server),
            _ => settled_by(server, "/v1/stats"),
        }
    }
}

fn rss(pid: u32) -> f64 {
    rss_mib(pid).unwrap_or(f64::NAN)
}

fn sum(pids: &[u32], figure: fn(u32) -> f64) -> f64 {
    pids.iter().map(|pid| figure(*pid)).sum()
}

/// When the server says that no task of the default queue is unfinished any more (ns), which is when the last completion was
/// accepted.
pub fn all_settled(server: &Server) -> Result<i64, Failure> {
    settled_by(server, "/v1/queues/default")
}

fn settled_by(server: &Server, path: &str) -> Result<i64, Failure> {
    let ask = request("GET", path, "");
    let began = monotonic_ns();
    block_on(async {
        let mut connection = Connection::open(server.address).await?;
        loop {
            let unfinished = unfinished(connection.expect(200, &ask).await?)?;
            if unfinished == 0 {
                return Ok(monotonic_ns());
            }
            if seconds_since(began) > PATIENCE_SECONDS {
                return Err(format!("{unfinished} tasks stay unfinished").into());
            }
            sleep(Duration::from_millis(1));
        }
    })
}

/// The sum of the counts of a queue, or of all tasks that are not final.
fn unfinished(body: &[u8]) -> Result<u64, Failure> {
    const FINAL: [&str; 4] = ["succeeded", "failed", "cancelled", "expired"];
    let said: serde_json::Value = serde_json::from_slice(body)?;
    let counts = said["counts"].as_object().or_else(|| said["tasks"].as_object()).ok_or("an answer without counts")?;
    let unfinished = counts.iter().filter(|(state, _)| !FINAL.contains(&state.as_str()));
    Ok(unfinished.filter_map(|(_, count)| count.as_u64()).sum())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_unfinished_is_read_from_a_queue_and_from_the_whole() {
        assert_eq!(unfinished(br#"{"name":"default","counts":{"queued":2,"running":3}}"#).unwrap(), 5);
        assert_eq!(unfinished(br#"{"tasks":{"queued":1,"running":0,"succeeded":7,"failed":9}}"#).unwrap(), 1);
        assert!(unfinished(b"{}").is_err());
    }
}
