//! What the server tells about itself: version, clock, store, workers, queues.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;

use super::Check;
use crate::failure::{Exit, Failure};
use crate::listing;
use crate::moment::rough;
use crate::remote::{Call, Remote};
use crate::task::read;

/// How far clocks may be apart before it is worth a look.
const SKEW: Duration = Duration::from_secs(5);
/// Queues that are named; of many the first few are enough to act on.
const QUEUES: usize = 5;
/// Gates that are named.
const GATES: usize = 5;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The JSON of `/health` and `/ready`, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct About {
    service: String,
    version: String,
    timestamp: String,
    clock: Option<Behind>,
}

#[derive(Debug, Deserialize)]
struct Behind {
    behind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Queue {
    name: String,
    state: String,
    verdict: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Gate {
    name: String,
    tenant: Option<String>,
    max_running: Option<u64>,
    full: bool,
    waiting: u64,
}

/// Adds the checks; answers with an exit code where there is nobody to be asked.
pub(super) async fn checks(remote: &Remote, checks: &mut Vec<Check>) -> Option<Exit> {
    let asked = remote.call(Call::service(["health"])).await.and_then(|body| read::<About>(&body));
    let about = match asked {
        Ok(about) => about,
        Err(failure) => {
            checks.push(Check::of_failure("server", &failure));
            return Some(failure.exit);
        }
    };
    checks.push(Check::good("server", format!("{} answers", remote.url())));
    checks.push(version(&about));
    checks.push(clock(&about, MachineClock::start().wall()));
    checks.push(ready(remote.call(Call::service(["ready"])).await));
    match listing::gather(remote, "queues").await {
        Ok(queues) => checks.extend(of_queues(&queues)),
        Err(failure) => checks.push(Check::of_failure("queues", &failure)),
    }
    checks.extend(gates(remote).await);
    checks.extend(workers(remote).await);
    None
}

fn version(about: &About) -> Check {
    if about.service != "tasklane" {
        return Check::bad(
            "version",
            "another program answers there",
            "name the right server with --url or TASKLANE_URL",
        );
    }
    if about.version == VERSION {
        return Check::good("version", format!("{VERSION}, here and there"));
    }
    let finding = format!("the server is of version {}, this program of {VERSION}", about.version);
    Check::look("version", finding, "use programs of one version; what one of them does not know, it refuses")
}

fn clock(about: &About, now: Timestamp) -> Check {
    let Ok(there) = tasklane_wire::time::parse(&about.timestamp) else {
        return Check::look("clock", "the server does not tell its time", "see whether it is a Tasklane server");
    };
    let apart = if there > now { there.since(now) } else { now.since(there) };
    let remedy = "set both clocks by NTP; tasks go by the server's";
    if apart > SKEW {
        return Check::look("clock", format!("the server's clock is {} apart from this one", rough(apart)), remedy);
    }
    Check::good("clock", format!("less than {} apart", rough(apart + Duration::from_secs(1))))
}

fn ready(asked: Result<Vec<u8>, Failure>) -> Check {
    let about = asked.and_then(|body| read::<About>(&body));
    match about {
        Ok(About { clock: Some(clock), .. }) => Check::look(
            "store",
            format!("the server's clock was {} behind its data when it started", clock.behind),
            "set its clock by NTP and restart it; until then its time goes on from its data's",
        ),
        Ok(_) => Check::good("store", "ready: it takes work"),
        Err(failure) => Check::of_failure("store", &failure),
    }
}

fn of_queues(items: &[Box<RawValue>]) -> Vec<Check> {
    let queues: Vec<Queue> = items.iter().filter_map(|it| read(it.get().as_bytes()).ok()).collect();
    let mut checks: Vec<_> = queues.iter().filter_map(of_queue).take(QUEUES).collect();
    if checks.is_empty() {
        checks.push(Check::good("queues", format!("{}, none paused or stuck", queues.len())));
    }
    checks
}

fn of_queue(queue: &Queue) -> Option<Check> {
    let name = &queue.name;
    let resume = format!("tasklane queue resume {name}");
    match queue.state.as_str() {
        "paused" => Some(Check::look("queues", format!("{name} is paused: nothing of it is started"), resume)),
        "draining" => Some(Check::look("queues", format!("{name} is draining: it takes nothing new"), resume)),
        // Workers are there; they may start nothing.
        _ if queue.verdict.starts_with("stuck: the gate of") => {
            let remedy = "tasklane gate ls shows what holds its slots, tasklane gate set gives it more";
            Some(Check::look("queues", format!("{name} waits: {}", queue.verdict), remedy))
        }
        _ => queue.verdict.starts_with("stuck").then(|| {
            let remedy = format!("start a worker for it, and see: tasklane ls --queue {name} --state queued");
            Check::bad("queues", format!("{name}: {}", queue.verdict), remedy)
        }),
    }
}

/// Nothing where there are none, or the server cannot tell.
async fn gates(remote: &Remote) -> Vec<Check> {
    match listing::gather(remote, "gates").await {
        Ok(gates) => of_gates(&gates),
        Err(failure) if failure.exit == Exit::NotFound || failure.exit == Exit::Usage => Vec::new(),
        Err(failure) => vec![Check::of_failure("gates", &failure)],
    }
}

fn of_gates(items: &[Box<RawValue>]) -> Vec<Check> {
    let gates: Vec<Gate> = items.iter().filter_map(|it| read(it.get().as_bytes()).ok()).collect();
    let stopped = gates.iter().filter(|it| it.max_running == Some(0) && it.waiting > 0);
    let mut checks: Vec<_> = stopped.take(GATES).map(of_stopped).collect();
    if checks.is_empty() && !gates.is_empty() {
        let full = gates.iter().filter(|it| it.full).count();
        checks.push(Check::good("gates", format!("{}, {full} full now", gates.len())));
    }
    checks
}

/// A gate that lets nothing through while tasks wait for it.
fn of_stopped(gate: &Gate) -> Check {
    let tenant = gate.tenant.as_ref().map(|it| format!(" --tenant {it}")).unwrap_or_default();
    let name = format!("{}{tenant}", gate.name);
    let remedy = format!("tasklane gate set {name} --max-running N, or tasklane gate rm {name}");
    Check::look("gates", format!("{name} lets nothing through, and {} tasks wait for it", gate.waiting), remedy)
}

/// Nothing where the server cannot tell.
async fn workers(remote: &Remote) -> Option<Check> {
    match listing::gather(remote, "workers").await {
        Ok(workers) if workers.is_empty() => {
            let remedy = "start one, or leave out --no-executors";
            Some(Check::look("workers", "none was heard of lately", remedy))
        }
        Ok(workers) => Some(Check::good("workers", format!("{} heard of lately", workers.len()))),
        Err(failure) if failure.exit == Exit::NotFound || failure.exit == Exit::Usage => None,
        Err(failure) => Some(Check::of_failure("workers", &failure)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Verdict;
    use super::*;

    #[test]
    fn queues_that_do_not_move_are_named_with_a_remedy() {
        let of = |json: &str| of_queue(&serde_json::from_str(json).unwrap());
        let paused = of(r#"{"name":"mail","state":"paused","verdict":"paused"}"#).unwrap();
        assert_eq!(
            (paused.verdict, paused.remedy.as_deref()),
            (Verdict::WorthALook, Some("tasklane queue resume mail"))
        );
        assert_eq!(of(r#"{"name":"a","state":"active","verdict":"stuck: no worker"}"#).unwrap().verdict, Verdict::Bad);
        assert_eq!(of(r#"{"name":"a","state":"active","verdict":"working"}"#), None);
        let held = of(r#"{"name":"a","state":"active","verdict":"stuck: the gate of queue \"a\" lets 1"}"#).unwrap();
        assert_eq!(held.verdict, Verdict::WorthALook);
        assert!(held.remedy.is_some_and(|it| !it.contains("start a worker")));
    }

    #[test]
    fn a_gate_that_somebody_shut_is_named() {
        let of = |json: &str| of_gates(&[RawValue::from_string(json.to_owned()).unwrap()]);
        let shut = &of(r#"{"name":"key:k","tenant":"t","max_running":0,"full":true,"waiting":2}"#)[0];
        assert_eq!(shut.verdict, Verdict::WorthALook);
        assert!(shut.remedy.as_ref().is_some_and(|it| it.contains("gate rm key:k --tenant t")), "{shut:?}");
        let full = &of(r#"{"name":"queue:q","max_running":2,"full":true,"waiting":2}"#)[0];
        assert_eq!((full.verdict, &*full.finding), (Verdict::Good, "1, 1 full now"));
        assert!(of_gates(&[]).is_empty());
    }

    #[test]
    fn a_clock_that_is_apart_is_worth_a_look() {
        let now = tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap();
        let at = |text: &str| clock(&About { timestamp: text.into(), ..About::default() }, now).verdict;
        assert_eq!(at("2026-01-31T12:00:03Z"), Verdict::Good);
        assert_eq!(at("2026-01-31T11:59:00Z"), Verdict::WorthALook);
        assert_eq!(at("soon"), Verdict::WorthALook);
    }

    #[test]
    fn another_version_and_another_program_are_told_apart() {
        let of = |service: &str, version_of: &str| {
            version(&About { service: service.into(), version: version_of.into(), ..About::default() }).verdict
        };
        assert_eq!(of("tasklane", VERSION), Verdict::Good);
        assert_eq!(of("tasklane", "9.9.9"), Verdict::WorthALook);
        assert_eq!(of("other", VERSION), Verdict::Bad);
    }
}
