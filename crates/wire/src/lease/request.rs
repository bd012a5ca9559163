//! `{worker, lanes:[{queue, types[]}], limit, lease, wait, request?}`.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::limit;

use crate::json::{Array, Object, Value, string};
use crate::read::{self, Findings, Mistake, Path, put};
use crate::{duration, name};

/// How long a lease is unless the request says otherwise.
pub const DEFAULT_LENGTH: Duration = Duration::from_secs(30);
/// Most lanes of a request.
pub const LANES: usize = 1000;
/// Most types of a request, over all its lanes.
pub const TYPES: usize = 1000;

/// A wish for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What the worker serves.
    pub lanes: Arc<[LaneFilter]>,
    /// Most tasks it takes.
    pub limit: usize,
    /// How long a lease lasts without renewal.
    pub length: Duration,
    /// How long to wait for the first task.
    pub wait: Duration,
    /// The worker's name for this wish.
    pub request: Option<Box<str>>,
}

/// A lease request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// A label of the worker.
    pub worker: Arc<str>,
    /// What it wants.
    pub want: Want,
}

#[derive(Default)]
struct Draft {
    worker: Option<Arc<str>>,
    lanes: Option<Vec<LaneFilter>>,
    limit: Option<i64>,
    length: Option<Duration>,
    wait: Option<Duration>,
    request: Option<Box<str>>,
}

impl LeaseRequest {
    /// Reads a request from validated JSON; `None` where something is noted.
    pub fn read(value: Value<'_>, findings: &mut Findings) -> Option<Self> {
        let (worker, want) = read_want(value, &Path::ROOT, findings);
        if worker.is_none() && findings.is_empty() {
            findings.missing(&Path::ROOT.key("worker"));
        }
        Some(Self { worker: worker?, want: want? })
    }

    /// Appends the request's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.string("worker", &self.worker);
        self.want.write_members(&mut object);
        object.end();
    }
}

/// Reads a wish and the worker's label that may stand in it.
pub(crate) fn read_want(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> (Option<Arc<str>>, Option<Want>) {
    let mut draft = Draft::default();
    let noted = findings.len();
    read::object(value, at, findings, |key, value, at, findings| draft.member(key, value, at, findings));
    if findings.len() == noted {
        for (key, missing) in [("lanes", draft.lanes.is_none()), ("limit", draft.limit.is_none())] {
            if missing {
                findings.missing(&at.key(key));
            }
        }
    }
    let worker = draft.worker.take();
    (worker, draft.finish())
}

impl Draft {
    fn member(&mut self, key: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "worker" => put(&mut self.worker, name::name(value, at, findings).map(Arc::from), at, findings),
            "lanes" => put(&mut self.lanes, Some(read_lanes(value, at, LANES, findings)), at, findings),
            "limit" => put(&mut self.limit, count(value, at, findings), at, findings),
            "lease" => put(&mut self.length, read::duration_in(value, limit::LEASE, at, findings), at, findings),
            "wait" => {
                let range = Duration::ZERO..=limit::LEASE_WAIT;
                put(&mut self.wait, read::duration_in(value, range, at, findings), at, findings);
            }
            "request" => put(&mut self.request, name::name(value, at, findings).map(Box::from), at, findings),
            _ => findings.unknown(at),
        }
    }

    fn finish(self) -> Option<Want> {
        Some(Want {
            lanes: self.lanes?.into(),
            limit: usize::try_from(self.limit?).ok()?,
            length: self.length.unwrap_or(DEFAULT_LENGTH),
            wait: self.wait.unwrap_or_default(),
            request: self.request,
        })
    }
}

fn count(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<i64> {
    read::integer(value, 0..=i64::try_from(limit::LEASE_TASKS).unwrap_or(i64::MAX), at, findings)
}

/// Reads lanes, at most `most` of them.
pub(crate) fn read_lanes(value: Value<'_>, at: &Path<'_>, most: usize, findings: &mut Findings) -> Vec<LaneFilter> {
    let lanes = read::array(value, at, most, findings, lane);
    if value.items().is_some_and(|mut it| it.next().is_none()) {
        findings.invalid(at, "name at least one lane");
    }
    let lanes: Vec<LaneFilter> = lanes.into_iter().flatten().collect();
    let named = |it: &LaneFilter| if let TypeFilter::Only(names) = &it.types { names.len() } else { 0 };
    if lanes.iter().map(named).sum::<usize>() > TYPES {
        findings.note(Mistake::TooLarge, at, format!("name more than {TYPES} types in all; \"*\" is every type"));
    }
    lanes
}

/// One lane of the request: more than one filter where types are named beside `*`.
fn lane(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Vec<LaneFilter>> {
    let (mut queue, mut types, noted) = (None, None, findings.len());
    read::object(value, at, findings, |key, value, at, findings| match key {
        "queue" => put(&mut queue, queue_or_all(value, at, findings), at, findings),
        "types" => put(&mut types, Some(read::array(value, at, TYPES, findings, type_or_all)), at, findings),
        _ => findings.unknown(at),
    });
    let types = types.unwrap_or_default();
    if types.is_empty() && findings.len() == noted {
        findings.invalid(&at.key("types"), "name at least one type, or \"*\" for every type");
    }
    let queue = queue.flatten();
    let (all, only): (Vec<_>, Vec<_>) = types.into_iter().partition(Option::is_none);
    let only: Vec<Box<str>> = only.into_iter().flatten().collect();
    let any = (!all.is_empty()).then(|| LaneFilter { queue: queue.clone(), types: TypeFilter::Any });
    let only = (!only.is_empty()).then_some(LaneFilter { queue, types: TypeFilter::Only(only) });
    Some(any.into_iter().chain(only).collect())
}

/// A queue; `Some(None)` is every queue.
fn queue_or_all(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Option<Box<str>>> {
    if value.text() == "\"*\"" {
        return Some(None);
    }
    name::queue(value, at, findings).map(|it| Some(it.into()))
}

/// A type; `Some(None)` is every type.
fn type_or_all(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Option<Box<str>>> {
    if value.text() == "\"*\"" {
        return Some(None);
    }
    name::task_type(value, at, findings).map(|it| Some(it.into()))
}

impl Want {
    pub(crate) fn write_members(&self, object: &mut Object<'_>) {
        let mut lanes = Array::begin(object.key("lanes"));
        for filter in &*self.lanes {
            write_lane(lanes.item(), filter);
        }
        lanes.end();
        object.integer("limit", i64::try_from(self.limit).unwrap_or(i64::MAX));
        object.word("lease", &duration::format(self.length));
        object.word("wait", &duration::format(self.wait));
        if let Some(request) = &self.request {
            object.string("request", request);
        }
    }
}

fn write_lane(out: &mut Vec<u8>, filter: &LaneFilter) {
    let mut object = Object::begin(out);
    object.string("queue", filter.queue.as_deref().unwrap_or("*"));
    let mut types = Array::begin(object.key("types"));
    match &filter.types {
        TypeFilter::Any => string(types.item(), "*"),
        TypeFilter::Only(list) => list.iter().for_each(|it| string(types.item(), it)),
    }
    types.end();
    object.end();
}
