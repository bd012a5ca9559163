//! Gates, and the limits with which tasks name them.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::gate::{Bounds, Gate, GateDetail, GateName, Rate, SetBy};
use tasklane_core::limit;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use crate::json::{Array, Object, Value};
use crate::read::{self, Findings, Path, put};
use crate::{duration, name};

/// A gate as it is read. Its name is `queue:NAME`, `type:NAME` or `key:KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateShape {
    /// Which.
    pub name: String,
    /// Whose; only of keys, and not of nobody's. `*` stands in for the gates of all tenants with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it lets through; without any it is always open.
    #[serde(flatten)]
    pub limits: LimitsShape,
    /// Who said so.
    pub set_by: SetBy,
    /// Running tasks that pass it.
    pub running: u64,
    /// Queued tasks that pass it, whether they wait for it or for something else.
    pub waiting: u64,
    /// Whether no task can start that passes it.
    pub full: bool,
    /// When its rate lets the next task start, if that is not now.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// The running tasks that hold its slots, the first hundred; only where one gate is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<HolderShape>>,
}

/// What a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitsShape {
    /// Most tasks that run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Most starts in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateShape>,
}

/// So many starts in any span of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateShape {
    /// How many.
    pub count: u32,
    /// In how long.
    #[serde(with = "crate::duration::shape")]
    pub per: Duration,
}

/// Who holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderShape {
    /// The running task.
    pub id: TaskId,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// A limit as a task says it: a key, and what its gate is to let through.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitShape<'a> {
    /// Which gate, among those of the task's tenant.
    pub key: Cow<'a, str>,
    /// Without any bounds the gate is passed as it is.
    pub bounds: Bounds,
}

impl LimitsShape {
    /// At most so many run at a time.
    #[must_use]
    pub fn running(most: u32) -> Self {
        Self::default().and_running(most)
    }

    /// At most so many start in any span of this length.
    #[must_use]
    pub fn starting(count: u32, per: Duration) -> Self {
        Self::default().and_starting(count, per)
    }

    /// The same, with at most so many that run at a time.
    #[must_use]
    pub fn and_running(self, most: u32) -> Self {
        Self { max_running: Some(most), ..self }
    }

    /// The same, with at most so many that start in any span of this length.
    #[must_use]
    pub fn and_starting(self, count: u32, per: Duration) -> Self {
        Self { rate: Some(RateShape { count, per }), ..self }
    }
}

impl From<&Bounds> for LimitsShape {
    fn from(bounds: &Bounds) -> Self {
        let rate = bounds.rate.map(|Rate { count, per }| RateShape { count, per });
        Self { max_running: bounds.max_running, rate }
    }
}

impl From<&LimitsShape> for Bounds {
    fn from(shape: &LimitsShape) -> Self {
        let rate = shape.rate.map(|RateShape { count, per }| Rate { count, per });
        Self { max_running: shape.max_running, rate }
    }
}

impl From<&Gate> for GateShape {
    fn from(gate: &Gate) -> Self {
        let (name, tenant) = format(&gate.name);
        Self {
            name,
            tenant: tenant.map(str::to_owned),
            limits: (&gate.bounds).into(),
            set_by: gate.set_by,
            running: gate.running,
            waiting: gate.waiting,
            full: gate.is_full(),
            opens_at: gate.opens_at,
            holders: None,
        }
    }
}

impl From<&GateDetail> for GateShape {
    fn from(detail: &GateDetail) -> Self {
        let holder = |(id, worker): &(TaskId, Option<Box<str>>)| HolderShape {
            id: *id,
            worker: worker.as_deref().map(str::to_owned),
        };
        let holders = Some(detail.holders.iter().map(holder).collect());
        Self { holders, ..Self::from(&detail.gate) }
    }
}

/// A gate's name as text, and its tenant.
pub fn format(name: &GateName) -> (String, Option<&str>) {
    match name {
        GateName::Queue(queue) => (format!("queue:{queue}"), None),
        GateName::Type(task_type) => (format!("type:{task_type}"), None),
        GateName::Key { tenant, key } => (format!("key:{key}"), Some(&**tenant).filter(|it| !it.is_empty())),
    }
}

/// The gate of this name and tenant; else what is wrong.
///
/// # Errors
/// The name is none, or has no tenant and one is given.
pub fn parse(text: &str, tenant: Option<&str>) -> Result<GateName, &'static str> {
    let (kind, named) = text.split_once(':').unwrap_or_default();
    let gate = match kind {
        "queue" if name::is_queue(named) => GateName::Queue(named.into()),
        "type" if name::is_type(named) => GateName::Type(named.into()),
        "key" if name::is_name(named) => {
            let tenant = tenant.unwrap_or_default();
            if !tenant.is_empty() && !name::is_name(tenant) {
                return Err("a tenant must be 1 to 200 bytes without control characters");
            }
            return Ok(GateName::Key { tenant: tenant.into(), key: named.into() });
        }
        _ => return Err("a gate's name is queue:NAME, type:NAME or key:KEY"),
    };
    if tenant.is_some() { Err("only the gates of keys have tenants") } else { Ok(gate) }
}

/// Reads what a gate is to let through, of somebody who may stop it whole: at most 0 may run.
pub fn read(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Bounds {
    let mut bounds = Bounds::default();
    read::object(value, at, findings, |key, value, at, findings| {
        if !bound(&mut bounds, 0, key, value, at, findings) {
            findings.unknown(at);
        }
    });
    bounds
}

/// Reads a member of bounds, if it is one.
fn bound(bounds: &mut Bounds, least: u32, key: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> bool {
    match key {
        "max_running" => {
            let range = i64::from(least)..=i64::from(limit::SLOTS);
            let read = read::integer(value, range, at, findings).and_then(|it| u32::try_from(it).ok());
            put(&mut bounds.max_running, read, at, findings);
        }
        "rate" => put(&mut bounds.rate, read_rate(value, at, findings), at, findings),
        _ => return false,
    }
    true
}

/// Reads so many of something in a time.
pub(crate) fn read_rate(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Rate> {
    let (mut count, mut per, noted) = (None, None, findings.len());
    read::object(value, at, findings, |key, value, at, findings| match key {
        "count" => {
            let (least, most) = limit::RATE_COUNT.into_inner();
            let read = read::integer(value, least.into()..=most.into(), at, findings);
            put(&mut count, read.and_then(|it| u32::try_from(it).ok()), at, findings);
        }
        "per" => put(&mut per, read::duration(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    if let Some(per) = per.filter(|it| !limit::RATE_PER.contains(it)) {
        let (least, most) = (duration::format(*limit::RATE_PER.start()), duration::format(*limit::RATE_PER.end()));
        let message = format!("must be from {least} to {most}, not {}", duration::format(per));
        findings.invalid(&at.key("per"), message);
    }
    if findings.len() == noted {
        for (key, is_there) in [("count", count.is_some()), ("per", per.is_some())] {
            if !is_there {
                findings.missing(&at.key(key));
            }
        }
    }
    Some(Rate { count: count?, per: per? })
}

/// Reads the limits of a task.
pub(crate) fn read_limits<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Vec<LimitShape<'a>> {
    let mut limits: Vec<LimitShape<'a>> = Vec::new();
    read::array(value, at, limit::LIMITS, findings, |value, at, findings| {
        let limit = read_limit(value, at, findings)?;
        if limits.iter().any(|it| it.key == limit.key) {
            findings.invalid(&at.key("key"), "this key is named twice");
        }
        limits.push(limit);
        Some(())
    });
    limits
}

fn read_limit<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<LimitShape<'a>> {
    let (mut key, mut bounds, noted) = (None, Bounds::default(), findings.len());
    read::object(value, at, findings, |member, value, at, findings| match member {
        "key" => put(&mut key, name::gate_key(value, at, findings), at, findings),
        _ if bound(&mut bounds, 1, member, value, at, findings) => {}
        _ => findings.unknown(at),
    });
    if key.is_none() && findings.len() == noted {
        findings.missing(&at.key("key"));
    }
    Some(LimitShape { key: key?, bounds })
}

/// Appends the limits of a task.
pub(crate) fn write_limits<'l>(out: &mut Vec<u8>, limits: impl Iterator<Item = (&'l str, Bounds)>) {
    let mut array = Array::begin(out);
    for (key, bounds) in limits {
        let mut object = Object::begin(array.item());
        object.string("key", key);
        write_bounds(&mut object, bounds);
        object.end();
    }
    array.end();
}

fn write_bounds(object: &mut Object<'_>, Bounds { max_running, rate }: Bounds) {
    if let Some(most) = max_running {
        object.integer("max_running", most);
    }
    if let Some(Rate { count, per }) = rate {
        let mut rate = Object::begin(object.key("rate"));
        rate.integer("count", count);
        rate.word("per", &duration::format(per));
        rate.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::validate;

    fn bounds(text: &str) -> (Bounds, Vec<String>) {
        let mut findings = Findings::default();
        let bounds = read(Value::new(validate(text.as_bytes(), 0).expect("JSON")), &Path::ROOT, &mut findings);
        (bounds, findings.into_errors().into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect())
    }

    #[test]
    fn names_lead_back() {
        let key = |tenant: &str| GateName::Key { tenant: tenant.into(), key: "a:b".into() };
        let names = [GateName::Queue("q:1".into()), GateName::Type("t".into()), key(""), key("acme"), key("*")];
        for name in names {
            let (text, tenant) = format(&name);
            assert_eq!(parse(&text, tenant), Ok(name));
        }
        for wrong in ["queue", "queue:", "queue:~bulk", "queue:*", "type:a b", "key:", "keys:a", ""] {
            assert!(parse(wrong, None).is_err(), "{wrong}");
        }
        assert!(parse("queue:q", Some("acme")).is_err() && parse("key:k", Some("\n")).is_err());
    }

    #[test]
    fn bounds_are_read_and_what_is_wrong_is_named() {
        let (read, wrong) = bounds(r#"{"max_running":0,"rate":{"count":3,"per":"1m"}}"#);
        let rate = Rate { count: 3, per: Duration::from_secs(60) };
        assert_eq!((read, wrong), (Bounds { max_running: Some(0), rate: Some(rate) }, vec![]));
        assert_eq!(
            LimitsShape::from(&read),
            LimitsShape { max_running: Some(0), rate: Some(RateShape { count: 3, per: rate.per }) }
        );
        assert_eq!(Bounds::from(&LimitsShape::from(&read)), read);
        assert_eq!(LimitsShape::starting(3, rate.per).and_running(0), LimitsShape::from(&read));
        let (_, wrong) = bounds(r#"{"max_running":-1,"rate":{"count":0,"per":"1ms"},"x":1}"#);
        assert_eq!(
            wrong,
            [
                "/max_running: must be a whole number from 0 to 1000000",
                "/rate/count: must be a whole number from 1 to 1000000",
                "/rate/per: must be from 1s to 366d, not 1ms",
                "/x: there is no such field",
            ]
        );
        assert_eq!(bounds(r#"{"rate":{"count":1}}"#).1, ["/rate/per: this field is required"]);
    }
}
