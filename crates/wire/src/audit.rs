//! Lines of the audit log as they are read.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasklane_core::audit::{Actor, Deed, Entry, Thing};
use tasklane_core::key::{Grant, KeyId, Scope};
use tasklane_core::schedule::{Schedule, ScheduleId};
use tasklane_core::time::Timestamp;
use uuid::Uuid;

use crate::gate::{LimitsShape, RateShape};
use crate::overview::LaneShape;
use crate::schedule::ScheduleShape;

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryShape {
    /// Which.
    pub id: Uuid,
    /// When.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
    /// By whom: the name of his key, or `nobody`, `setting`, `config`.
    pub who: String,
    /// His key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Where he called from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was done, such as `key.revoked`.
    pub action: Deed,
    /// To what: its name; the route of a call that was refused.
    pub target: String,
    /// What it was before, where it was something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it became, where it is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl EntryShape {
    /// The shape of a line.
    pub fn new(id: Uuid, entry: &Entry) -> Self {
        let Actor { name, key, from } = &entry.by;
        Self {
            id,
            at: entry.at,
            who: name.to_string(),
            key: *key,
            from: from.as_deref().map(str::to_owned),
            action: entry.deed,
            target: entry.what.to_string(),
            before: entry.before.as_ref().map(thing),
            after: entry.after.as_ref().map(thing),
        }
    }
}

/// What something was, in the words in which it is asked for.
fn thing(thing: &Thing) -> Value {
    match thing {
        Thing::Key(grant) => granted(grant),
        Thing::Schedule(it) => scheduled(it),
        Thing::Endpoint { order, disabled } => {
            let mut value = json!(order);
            if let Some(why) = disabled {
                value["disabled"] = why.as_str().into();
            }
            value
        }
        Thing::Queue(state) => json!({ "state": state }),
        Thing::Gate(bounds) => json!(LimitsShape::from(bounds)),
        Thing::Tasks(bulk) => json!(bulk),
        Thing::Refusal(code) => json!({ "code": code }),
    }
}

fn granted(grant: &Grant) -> Value {
    let scopes: Vec<_> = grant.scopes.iter().map(|it: &Scope| it.as_str()).collect();
    let lanes: Vec<LaneShape> = grant.lanes.iter().map(Into::into).collect();
    let mut value = json!({ "scopes": scopes });
    let members = [
        ("tenant", json!(grant.tenant)),
        ("user", json!(grant.user)),
        ("app", json!(grant.app)),
        ("lanes", if lanes.is_empty() { Value::Null } else { json!(lanes) }),
        ("rate", grant.rate.map_or(Value::Null, |it| json!(RateShape { count: it.count, per: it.per }))),
        ("expires_at", grant.expires_at.map_or(Value::Null, |it| crate::time::format(it).into())),
    ];
    for (name, member) in members.into_iter().filter(|it| !it.1.is_null()) {
        value[name] = member;
    }
    value
}

fn scheduled(schedule: &Schedule) -> Value {
    let mut value = json!(ScheduleShape::new(ScheduleId(Uuid::nil()), "", schedule));
    if let Value::Object(members) = &mut value {
        ["id", "name", "next_at", "created_at"].iter().for_each(|it| drop(members.remove(*it)));
    }
    value
}
