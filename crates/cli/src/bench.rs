//! `tasklane bench`: a quick self-check of a server: how fast it accepts, runs and starts tasks that do nothing.

use std::collections::HashMap;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tasklane_client::{Client, NewTask, TaskContext, Worker};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::failure::{Exit, Failure};
use crate::interrupt;
use crate::output::{Output, Tone};
use crate::remote::Remote;
use crate::table::Table;

/// The tasks' type and queue. Those an earlier run left behind are run too, and not counted.
const TASK_TYPE: &str = "tasklane.bench";
const QUEUE: &str = "bench";
/// Tasks of one batch.
const BATCH: u64 = 1000;
/// Single submits under way at once, and how many there are.
const CALLERS: u64 = 50;
const SINGLES: u64 = 2000;
/// Submits to an idle server whose time to the handler's start is taken.
const PROBES: u64 = 200;
/// Tasks the worker holds at once: three batches.
const SLOTS: usize = 1500;
/// Longest time without a single task being run before the check gives up.
const SILENCE: Duration = Duration::from_secs(30);

/// Measure how fast a server accepts and runs tasks that do nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane bench
  tasklane bench --tasks 100000 -o ndjson

The tasks are real ones of type tasklane.bench in queue bench, run by a worker inside this command.")]
pub(crate) struct Bench {
    /// How many tasks
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    tasks: u64,
}

/// One line of what was measured.
#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    tasks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

/// A task of this run that was started, and when.
type Started = (u64, Instant);

impl Bench {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let builder = Client::builder().url(remote.url());
        let builder = remote.key().into_iter().fold(builder, tasklane_client::ClientBuilder::api_key);
        let bench = Run { client: builder.build()?, number: RandomState::new().hash_one(0) >> 12 };
        let stays = format!("stopped; tasks of type {TASK_TYPE} that were not run stay in queue {QUEUE}");
        let lines = interrupt::or(&stays, bench.all(self.tasks, output)).await?;
        show(&lines, output)?;
        Ok(Exit::Ok)
    }
}

/// One run of the check.
struct Run {
    client: Client,
    /// Tells its tasks from those of earlier runs.
    number: u64,
}

impl Run {
    async fn all(&self, tasks: u64, output: &Output) -> Result<Vec<Line>, Failure> {
        output.note(Tone::Dim, &format!("measuring {} with {tasks} tasks", self.client.url()));
        let batch = self.submit_batches(tasks).await?;
        let single = self.submit_singles(tasks).await?;
        let queued = tasks + SINGLES;
        let (started, mut starts) = unbounded_channel();
        let mut working = JoinSet::new();
        let begin = Instant::now();
        let worker = self.worker(started);
        working.spawn(async move { worker.run_until(pending()).await.map(drop) });
        let last = last_of(queued, &mut starts).await?;
        let end_to_end = Line::rate("end_to_end", queued, last - begin);
        let latency = self.latency(queued, &mut starts).await?;
        Ok(vec![batch, single, end_to_end, latency])
    }

    fn task(&self, n: u64) -> NewTask {
        NewTask::new(TASK_TYPE, &(self.number, n)).queue(QUEUE)
    }

    fn worker(&self, started: UnboundedSender<Started>) -> Worker {
        let number = self.number;
        let handle = move |_: TaskContext, (run, n): (u64, u64)| {
            if run == number {
                // The check may have ended.
                let _ = started.send((n, Instant::now()));
            }
            async { Ok(()) }
        };
        self.client.worker().queue(QUEUE).slots(SLOTS).handle(TASK_TYPE, handle)
    }

    async fn submit_batches(&self, tasks: u64) -> Result<Line, Failure> {
        let begin = Instant::now();
        for first in (0..tasks).step_by(usize::try_from(BATCH).unwrap_or(1)) {
            let batch = (first..tasks.min(first + BATCH)).map(|n| self.task(n)).collect();
            self.client.submit_batch(batch).await?;
        }
        Ok(Line::rate("submit_batch", tasks, begin.elapsed()))
    }

    async fn submit_singles(&self, first: u64) -> Result<Line, Failure> {
        let begin = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (client, numbers) = (self.client.clone(), (first + caller..first + SINGLES).step_by(CALLERS as usize));
            let tasks: Vec<_> = numbers.map(|n| self.task(n)).collect();
            callers.spawn(async move {
                for task in tasks {
                    client.submit(task).await?;
                }
                Ok::<_, tasklane_client::Error>(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended.map_err(|error| Failure::new(Exit::Failed, error.to_string()))??;
        }
        Ok(Line::rate("submit_single", SINGLES, begin.elapsed()))
    }

    async fn latency(&self, first: u64, starts: &mut UnboundedReceiver<Started>) -> Result<Line, Failure> {
        let mut taken = Vec::new();
        for n in first..first + PROBES {
            let begin = Instant::now();
            self.client.submit(self.task(n)).await?;
            taken.push(last_of(1, starts).await? - begin);
        }
        Ok(Line::spread("latency", taken))
    }
}

/// When the last of `count` different tasks was started.
async fn last_of(count: u64, starts: &mut UnboundedReceiver<Started>) -> Result<Instant, Failure> {
    let mut seen = HashMap::new();
    while (seen.len() as u64) < count {
        let heard = tokio::time::timeout(SILENCE, starts.recv()).await;
        let Ok(Some((n, at))) = heard else {
            let cause = format!("no task was run for {} s; {} of {count} were", SILENCE.as_secs(), seen.len());
            return Err(Failure::new(Exit::Timeout, cause)
                .remedy(format!("see whether queue {QUEUE} is paused: tasklane queue ls")));
        };
        // A task may run twice; its first start counts.
        seen.entry(n).or_insert(at);
    }
    seen.into_values().max().ok_or_else(|| Failure::new(Exit::Failed, "nothing was measured"))
}

impl Line {
    fn rate(bench: &'static str, tasks: u64, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let per_second = Some((tasks as f64 / seconds).round());
        Self { bench, tasks, seconds: Some(rounded(seconds)), per_second, p50_ms: None, p99_ms: None }
    }

    fn spread(bench: &'static str, mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let at = |percent: usize| taken.get(taken.len() * percent / 100).map(|it| rounded(it.as_secs_f64() * 1000.0));
        Self { bench, tasks: taken.len() as u64, seconds: None, per_second: None, p50_ms: at(50), p99_ms: at(99) }
    }
}

/// To three decimals: more is noise.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn show(lines: &[Line], output: &Output) -> Result<(), Failure> {
    if !output.is_for_people() {
        return output.values(lines);
    }
    let text = |number: Option<f64>| number.map(|it| it.to_string()).unwrap_or_default();
    let mut table = Table::new(&["BENCH", "TASKS", "SECONDS", "PER SECOND", "P50 MS", "P99 MS"]);
    for line in lines {
        let numbers = [line.seconds, line.per_second, line.p50_ms, line.p99_ms].map(|it| text(it).into());
        table.row([line.bench.into(), line.tasks.to_string().into()].into_iter().chain(numbers));
    }
    output.table(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_one_json_object_without_what_was_not_measured() {
        let line = Line::rate("submit_batch", 1000, Duration::from_millis(500));
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(json, r#"{"bench":"submit_batch","tasks":1000,"seconds":0.5,"per_second":2000.0}"#);
    }

    #[test]
    fn the_spread_of_times_is_told_in_milliseconds() {
        let line = Line::spread("latency", (1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((line.tasks, line.p50_ms, line.p99_ms), (100, Some(51.0), Some(100.0)));
    }

    #[tokio::test]
    async fn a_task_that_runs_twice_counts_once() {
        let (started, mut starts) = unbounded_channel();
        let first = Instant::now();
        for n in [0, 0, 1] {
            started.send((n, first)).unwrap();
        }
        assert_eq!(last_of(2, &mut starts).await.unwrap(), first);
        assert!(starts.try_recv().is_err());
    }
}
