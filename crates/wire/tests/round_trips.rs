//! What one end writes the other end reads; what nobody wrote is refused without a panic.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tasklane_core::accept::{Moment, Start, UniquePolicy};
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::gate::{Bounds, Rate, no_keys};
use tasklane_core::lease::{LaneFilter, Lease, LeaseKey, Leased, Token, TypeFilter};
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::retry::Retry;
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, Progress, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::event::{EventName, Events};
use tasklane_core::webhook::outbox::Callback;
use tasklane_core::webhook::secret::Secret;
use tasklane_wire::gate::LimitShape;
use tasklane_wire::json::{Value, validate};
use tasklane_wire::lease::{LeaseReply, LeaseRequest, Want};
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::report::{RefusedItem, Report, ReportReply};
use tasklane_wire::task::{NewTask, UniqueShape};
use uuid::Builder;

fn id() -> impl Strategy<Value = TaskId> {
    (0_u64..1 << 48, any::<[u8; 10]>())
        .prop_map(|(millis, random)| TaskId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid()))
}

fn key() -> impl Strategy<Value = LeaseKey> {
    (id(), any::<u32>(), any::<u64>()).prop_map(|(id, attempt, token)| LeaseKey { id, attempt, token: Token(token) })
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9é\"\\\\ :/-]{1,20}"
}

fn kind() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._:/-]{1,20}"
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..Timestamp::MAX.as_micros()).prop_map(Timestamp::from_micros)
}

fn payload() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just(r#"{"a":[1,2.50,"}\""]}"#.to_owned()),
        any::<i32>().prop_map(|it| it.to_string())
    ]
}

fn retry() -> impl Strategy<Value = Retry> {
    let delays = proptest::collection::vec(millis(0..1_000_000), 1..5);
    prop_oneof![
        (0..1000_u64, 1.0..9.0_f64, 1000..9000_u64, any::<bool>()).prop_map(|(initial, factor, max, jitter)| {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            Retry::Exponential { initial, factor, max, jitter }
        }),
        (delays, any::<bool>()).prop_map(|(delays, jitter)| Retry::Delays { delays, jitter }),
    ]
}

fn deadline() -> impl Strategy<Value = Moment> {
    prop_oneof![millis(0..1_000_000_000).prop_map(Moment::After), moment().prop_map(Moment::At)]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![millis(0..1_000_000_000).prop_map(Start::After), moment().prop_map(Start::At)]
}

prop_compose! {
    fn unique()(
        key in name(), held_for in proptest::option::of(millis(1..100_000)),
        policy in prop_oneof![Just(UniquePolicy::Return), Just(UniquePolicy::Reject), Just(UniquePolicy::Replace)],
    ) -> UniqueShape<'static> {
        UniqueShape { key: key.into(), policy, held_for }
    }
}

fn limits() -> impl Strategy<Value = Vec<LimitShape<'static>>> {
    let rate =
        (1..1000_u32, 1..9000_u64).prop_map(|(count, seconds)| Rate { count, per: Duration::from_secs(seconds) });
    let bounds = (proptest::option::of(1..1000_u32), proptest::option::of(rate));
    let limits = proptest::collection::btree_map(name(), bounds, 0..4);
    limits.prop_map(|limits| {
        let limit = |(key, (max_running, rate)): (String, _)| LimitShape {
            key: key.into(),
            bounds: Bounds { max_running, rate },
        };
        limits.into_iter().map(limit).collect()
    })
}

fn callback() -> impl Strategy<Value = Arc<Callback>> {
    let events = proptest::collection::btree_set(0..State::ALL.len(), 1..4)
        .prop_map(|all| Events::of(all.into_iter().map(|it| EventName::Task(State::ALL[it]))));
    let secret = proptest::option::of(proptest::collection::vec(any::<u8>(), 24..=64));
    (events, secret).prop_map(|(events, secret)| {
        let secret = secret.and_then(|it| Secret::of(&it).ok());
        Arc::new(Callback { url: "https://example.org/a?b=c".into(), events, secret })
    })
}

prop_compose! {
    fn new_task()(
        task_type in kind(), id in proptest::option::of(id()), queue in proptest::option::of(name()),
        priority in proptest::option::of(-1000..=1000_i32), start in proptest::option::of(start()),
        deadlines in proptest::option::of((deadline(), deadline())), timeout in proptest::option::of(millis(1..9_000_000)),
        max_attempts in proptest::option::of(1..1_000_000_u32), retry in proptest::option::of(retry()),
        labels in proptest::collection::btree_map(name(), "[a-z\"é]{0,9}", 0..4),
        unique in (proptest::option::of(unique()), limits(), proptest::option::of(callback())), words in proptest::option::of((name(), name())),
    ) -> NewTask<'static> {
        let (unique, limits, callback) = unique;
        let (tenant, key) = words.unzip();
        NewTask {
            task_type: task_type.into(), payload: "", id, queue: queue.map(Cow::Owned), priority, start,
            start_deadline: deadlines.map(|it| it.0), deadline: deadlines.map(|it| it.1), attempt_timeout: timeout,
            heartbeat_timeout: timeout.map(|it| it * 2), max_attempts, retry, tenant: tenant.map(Cow::Owned),
            labels: labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(), unique, limits,
            callback, idempotency_key: key.map(Cow::Owned),
        }
    }
}

prop_compose! {
    fn want()(
        lanes in proptest::collection::vec((proptest::option::of(name()), proptest::collection::vec(kind(), 0..4)), 1..4),
        limit in 0..=1000_usize, length in millis(1000..3_600_001), wait in millis(0..30_001),
        request in proptest::option::of(name()),
    ) -> Want {
        let filter = |(queue, types): (Option<String>, Vec<String>)| {
            let only: Vec<Box<str>> = types.into_iter().map(Into::into).collect();
            let types = if only.is_empty() { TypeFilter::Any } else { TypeFilter::Only(only) };
            LaneFilter { queue: queue.map(Into::into), types }
        };
        Want { lanes: lanes.into_iter().map(filter).collect(), limit, length, wait, request: request.map(Into::into) }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failed = (0..FailureKind::ALL.len(), any::<String>(), proptest::option::of(payload()), any::<bool>()).prop_map(
        |(kind, message, details, retryable)| {
            let stack = details.as_ref().map(|_| "at a\nat b".to_owned());
            let details = details.map(Into::into);
            Failure { kind: FailureKind::ALL[kind], message, details, stack, retryable }
        },
    );
    prop_oneof![
        payload().prop_map(|it| Outcome::Succeeded(it.into())),
        (failed, proptest::option::of(millis(0..100_000)))
            .prop_map(|(failure, retry_after)| Outcome::Failed { failure, retry_after }),
        millis(0..100_000).prop_map(Outcome::Snoozed),
        Just(Outcome::Released),
        Just(Outcome::Cancelled),
    ]
}

fn progress() -> impl Strategy<Value = Progress> {
    let percent = proptest::option::of(0.0..=100.0_f64);
    (percent, proptest::option::of(any::<String>()), proptest::option::of(payload()))
        .prop_map(|(percent, message, data)| Progress { percent, message, data: data.map(Into::into) })
        .prop_filter("says something", |it| *it != Progress::default())
}

fn line() -> impl Strategy<Value = Line> {
    let fields = proptest::option::of(Just(r#"{"a":[1,"}"]}"#.to_owned()));
    let level = (0..Level::ALL.len()).prop_map(|it| Level::ALL[it]);
    (0..=i64::MAX, level, any::<String>(), fields, millis(0..100_000)).prop_map(|(n, level, message, fields, after)| {
        Line { n: n.cast_unsigned(), level, message, fields: fields.map(Into::into), after }
    })
}

prop_compose! {
    fn leased()(
        key in key(), queue in name(), task_type in kind(), payload in payload(), tenant in proptest::option::of(name()),
        timeout in proptest::option::of(millis(1..9_000_000)), deadline in proptest::option::of(moment()),
        labels in proptest::collection::btree_map(name(), name(), 0..3),
        checkpoints in proptest::collection::btree_map(name(), payload(), 0..3),
    ) -> Leased {
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let spec = Spec { attempt_timeout: timeout, heartbeat_timeout: timeout, deadline, labels, ..Spec::default() };
        let scope = Scope { origin: "".into(), tenant: tenant.unwrap_or_default().into() };
        let nil = Timestamp::EPOCH;
        let lease = Lease { token: key.token, length: LENGTH, until: nil, heard_at: nil, grace_until: None };
        let facts = Facts {
            id: key.id, lane: Lane::new(&queue, &task_type), scope: Arc::new(scope), spec: Spec::share(spec),
            gates: no_keys(), state: State::Running, attempt: key.attempt, spent: 0, crashes: 0, cancel_requested: false, run_at: None,
            started_at: None, lease: Some(lease),
        };
        let checkpoint = |(name, data): (String, String)| Checkpoint { name: name.into(), data: data.into() };
        let checkpoints = checkpoints.into_iter().map(checkpoint).collect();
        Leased { facts, payload: payload.into(), waited: Duration::ZERO, checkpoints }
    }
}

const LENGTH: Duration = Duration::from_secs(30);

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    write(&mut out);
    serde_json::from_slice::<serde_json::Value>(&out).expect("what is written is JSON");
    out.into()
}

fn value(bytes: &Bytes) -> Value<'_> {
    Value::new(validate(bytes, 3).unwrap())
}

/// Outcomes are written list by list; each task has one.
fn by_task(mut outcomes: Vec<(LeaseKey, Outcome)>) -> Vec<(LeaseKey, Outcome)> {
    outcomes.sort_by_key(|it| (it.0.id, it.0.attempt, it.0.token.0));
    outcomes
}

fn same_tasks(read: &[Leased], wrote: &[Leased]) -> Result<(), TestCaseError> {
    let parts = |it: &Leased| (it.facts.clone(), it.payload.clone(), it.checkpoints.clone());
    prop_assert_eq!(read.iter().map(parts).collect::<Vec<_>>(), wrote.iter().map(parts).collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #[test]
    fn new_tasks(task in new_task(), payload in payload()) {
        let task = NewTask { payload: &payload, ..task };
        let bytes = written(|out| task.write(out));
        let mut findings = Findings::default();
        let read = NewTask::read(value(&bytes), &Path::ROOT, &mut findings);
        prop_assert_eq!(findings, Findings::default());
        prop_assert_eq!(read, task);
    }

    #[test]
    fn lease_requests(worker in name(), want in want()) {
        let request = LeaseRequest { worker: worker.into(), want };
        let bytes = written(|out| request.write(out));
        let mut findings = Findings::default();
        let read = LeaseRequest::read(value(&bytes), &mut findings);
        prop_assert_eq!(findings, Findings::default());
        prop_assert_eq!(read, Some(request));
    }

    #[test]
    fn reports(
        worker in name(), renew in proptest::collection::vec(key(), 0..4),
        progress in proptest::collection::vec((key(), proptest::option::of(progress())), 0..4),
        outcomes in proptest::collection::vec((key(), outcome()), 0..8), want in proptest::option::of(want()),
        logs in proptest::collection::vec((key(), line()), 0..4),
        checkpoints in proptest::collection::vec((key(), name(), payload()), 0..3),
    ) {
        let checkpoints = checkpoints.into_iter().map(|(key, name, data)| (key, Checkpoint { name: name.into(), data: data.into() })).collect();
        let report = Report { worker: worker.into(), renew, progress, logs, checkpoints, outcomes, want, unknown: Vec::new() };
        let bytes = written(|out| report.write(out));
        let mut findings = Findings::default();
        let read = Report::read(value(&bytes), &bytes, &mut findings);
        prop_assert_eq!(findings, Findings::default());
        let read = read.unwrap();
        prop_assert_eq!((read.worker, read.renew, read.progress), (report.worker, report.renew, report.progress));
        prop_assert_eq!((read.logs, read.checkpoints), (report.logs, report.checkpoints));
        prop_assert_eq!((by_task(read.outcomes), read.want), (by_task(report.outcomes), report.want));
        prop_assert_eq!(read.unknown, Vec::new());
    }

    #[test]
    fn replies(
        tasks in proptest::collection::vec(leased(), 0..5), lost in proptest::collection::vec(id(), 0..3),
        refused in proptest::collection::vec((id(), name(), any::<String>()), 0..3),
    ) {
        let item = |(id, name, detail): (TaskId, String, String)| {
            let (list, code) = ("checkpoints".into(), "checkpoints_too_large".into());
            RefusedItem { id, list, name: name.into(), code, detail: detail.into() }
        };
        let refused: Vec<_> = refused.into_iter().map(item).collect();
        let reply = LeaseReply { tasks: tasks.clone(), cancel: lost.clone() };
        let bytes = written(|out| reply.write(out));
        let mut findings = Findings::default();
        let read = LeaseReply::read(value(&bytes), &bytes, LENGTH, &mut findings);
        same_tasks(&read.tasks, &tasks)?;
        prop_assert_eq!(&read.cancel, &lost);

        let reply = ReportReply { tasks: tasks.clone(), cancel: Vec::new(), lost: lost.clone(), refused: refused.clone() };
        let bytes = written(|out| reply.write(out));
        let read = ReportReply::read(value(&bytes), &bytes, LENGTH, &mut findings);
        same_tasks(&read.tasks, &tasks)?;
        prop_assert_eq!((read.lost, read.cancel, read.refused), (lost, Vec::new(), refused));
        prop_assert_eq!(findings, Findings::default());
    }

    #[test]
    fn nothing_makes_a_reader_panic(text in nearly_a_request()) {
        let bytes = Bytes::from(text);
        if let Ok(text) = validate(&bytes, 3) {
            let (value, mut findings) = (Value::new(text), Findings::default());
            NewTask::read(value, &Path::ROOT, &mut findings);
            LeaseRequest::read(value, &mut findings);
            drop(Report::read(value, &bytes, &mut findings));
            drop(ReportReply::read(value, &bytes, LENGTH, &mut findings));
        }
    }
}

/// Objects with the members that requests have, and values they should not have.
fn nearly_a_request() -> impl Strategy<Value = String> {
    const KEYS: [&str; 34] = [
        "type",
        "payload",
        "id",
        "queue",
        "priority",
        "delay",
        "retry",
        "delays",
        "initial",
        "labels",
        "unique",
        "key",
        "lease",
        "lanes",
        "types",
        "limit",
        "worker",
        "succeed",
        "fail",
        "progress",
        "percent",
        "want",
        "tasks",
        "for",
        "logs",
        "n",
        "level",
        "message",
        "fields",
        "after",
        "checkpoints",
        "name",
        "data",
        "refused",
    ];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("1".to_owned()),
        Just("-0.5e3".to_owned()),
        Just("\"5s\"".to_owned()),
        Just("\"\\u0000\\ud83d\\ude00\"".to_owned()),
        Just("\"*\"".to_owned()),
        Just("true".to_owned()),
        Just("\"0192f0c1-2345-7abc-8def-0123456789ab\"".to_owned()),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        let member = (proptest::sample::select(&KEYS[..]), inner.clone())
            .prop_map(|(key, value)| format!("\"{key}\" : {value}"));
        prop_oneof![
            proptest::collection::vec(member, 0..6).prop_map(|it| format!("{{{}}}", it.join(" , "))),
            proptest::collection::vec(inner, 0..4).prop_map(|it| format!("[{}]", it.join(","))),
        ]
    })
}
