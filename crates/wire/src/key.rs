//! Keys: as they are asked for, and as they are read.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::key::{CallRate, Grant, Key, KeyId, Scope};
use tasklane_core::limit;
use tasklane_core::time::Timestamp;

use crate::gate::{self, RateShape};
use crate::json::Value;
use crate::lease;
use crate::name;
use crate::overview::LaneShape;
use crate::read::{self, Findings, Path, put};

/// A key as it is read. Its secret is in it only where it was made just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyShape {
    /// Which.
    pub id: KeyId,
    /// No other one of its tenant has it.
    pub name: String,
    /// The secret: shown once, when it is made or rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What its holder may do.
    pub scopes: Vec<Scope>,
    /// For whom; everybody where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A person it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A program it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Work is leased of these lanes alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneShape>,
    /// How often it may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateShape>,
    /// It opens nothing from then on.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    #[serde(with = "crate::time::shape")]
    pub created_at: Timestamp,
    /// When it was last used, to ten minutes.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// When the secret before the last one opens nothing any more.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub old_until: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl KeyShape {
    /// The shape of a key.
    pub fn new(id: KeyId, name: &str, key: &Key) -> Self {
        let grant = &key.grant;
        let text = |it: &Option<Box<str>>| it.as_deref().map(str::to_owned);
        Self {
            id,
            name: name.to_owned(),
            key: None,
            scopes: grant.scopes.iter().copied().collect(),
            tenant: text(&grant.tenant),
            user: text(&grant.user),
            app: text(&grant.app),
            lanes: grant.lanes.iter().map(Into::into).collect(),
            rate: grant.rate.map(|CallRate { count, per }| RateShape { count, per }),
            expires_at: grant.expires_at,
            created_at: key.created_at,
            used_at: key.used_at,
            old_until: key.secrets.iter().find_map(|it| it.until),
            revoked_at: key.revoked_at,
        }
    }
}

/// Reads a key that is to be made: its name and what it grants; `None` where something is noted.
pub fn read(value: Value<'_>, findings: &mut Findings) -> Option<(Box<str>, Grant)> {
    let (mut name, mut scopes) = (None, None);
    let (mut tenant, mut user, mut app, mut lanes, mut rate, mut expires_at) = (None, None, None, None, None, None);
    let boxed = |it: std::borrow::Cow<'_, str>| Box::<str>::from(it);
    read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
        "name" => put(&mut name, name::name(value, at, findings).map(boxed), at, findings),
        "scopes" => put(&mut scopes, Some(read_scopes(value, at, findings)), at, findings),
        "tenant" => put(&mut tenant, name::tenant(value, at, findings).map(boxed), at, findings),
        "user" => put(&mut user, name::name(value, at, findings).map(boxed), at, findings),
        "app" => put(&mut app, name::name(value, at, findings).map(boxed), at, findings),
        "lanes" => put(&mut lanes, Some(lease::read_lanes(value, at, limit::KEY_LANES, findings)), at, findings),
        "rate" => put(&mut rate, gate::read_rate(value, at, findings), at, findings),
        "expires_at" => put(&mut expires_at, read::moment(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    for (key, is_there) in [("name", name.is_some()), ("scopes", scopes.is_some())] {
        let at = Path::ROOT.key(key);
        if !is_there && !findings.name(&at) {
            findings.missing(&at);
        }
    }
    let rate = rate.map(|it| CallRate { count: it.count, per: it.per });
    let grant = Grant { scopes: scopes?, tenant, user, app, lanes: lanes.unwrap_or_default(), rate, expires_at };
    if !grant.lanes.is_empty() && !grant.has(Scope::Work) {
        findings
            .invalid(&Path::ROOT.key("lanes"), "lanes are what work is leased of; give the key the scope work, too");
    }
    Some((name?, grant)).filter(|_| findings.is_empty())
}

fn read_scopes(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> BTreeSet<Scope> {
    let words = Scope::ALL.map(|it| (it.as_str(), it));
    let scopes =
        read::array(value, at, words.len(), findings, |value, at, findings| read::word(value, &words, at, findings));
    if value.items().is_some_and(|mut it| it.next().is_none()) {
        findings.invalid(at, "name at least one of submit, read, work, admin");
    }
    scopes.into_iter().collect()
}

/// Reads for how long the secret before opens beside a new one: `{overlap}`; a day where nothing is said.
pub fn read_rotation(value: Value<'_>, findings: &mut Findings) -> Duration {
    let mut overlap = None;
    read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
        "overlap" => {
            put(
                &mut overlap,
                read::duration_in(value, Duration::ZERO..=limit::KEY_OVERLAP, at, findings),
                at,
                findings,
            );
        }
        _ => findings.unknown(at),
    });
    overlap.unwrap_or(OVERLAP)
}

/// How long the secret before opens beside a new one, where nothing is said.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json::validate;

    fn read_text(text: &str) -> (Option<(Box<str>, Grant)>, Vec<String>) {
        let mut findings = Findings::default();
        let read = read(Value::new(validate(text.as_bytes(), 0).unwrap()), &mut findings);
        (read, findings.into_errors().into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect())
    }

    #[test]
    fn a_key_is_read_and_shown() {
        let text = r#"{"name":"n","scopes":["work","submit"],"tenant":"acme","user":"u","app":"a",
            "lanes":[{"queue":"mail","types":["*"]}],"rate":{"count":10,"per":"1s"},"expires_at":"2030-01-01T00:00:00Z"}"#;
        let (name, grant) = read_text(text).0.unwrap();
        let id = KeyId(uuid::Uuid::from_u128(7));
        let digest = tasklane_core::key::Digest::of("x");
        let shape = KeyShape::new(id, &name, &Key::new(grant, digest, Timestamp::from_micros(0)));
        let json = serde_json::to_string(&shape).unwrap();
        let told = r#""scopes":["submit","work"],"tenant":"acme","user":"u","app":"a","lanes":[{"queue":"mail","types":["*"]}],"rate":{"count":10,"per":"1s"},"expires_at":"2030-01-01T00:00:00Z""#;
        assert!(json.contains(told) && !json.contains("digest") && !json.contains("\"key\""), "{json}");
        assert_eq!(serde_json::from_str::<KeyShape>(&json).unwrap(), shape);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            ("{}", &["/name: this field is required", "/scopes: this field is required"][..]),
            (r#"{"name":"n","scopes":[]}"#, &["/scopes: name at least one of submit, read, work, admin"]),
            (r#"{"name":"n","scopes":["root"]}"#, &["/scopes/0: must be one of submit, read, work, admin"]),
            (
                r#"{"name":"n","scopes":["read"],"tenant":"*"}"#,
                &["/tenant: * stands for every tenant; a task is for one"],
            ),
            (
                r#"{"name":"n","scopes":["read"],"lanes":[{"types":["a"]}]}"#,
                &["/lanes: lanes are what work is leased of; give the key the scope work, too"],
            ),
        ] {
            assert_eq!(read_text(text).1, told, "{text}");
        }
    }
}
