//! An endpoint: where events are sent, and how it fares.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::{Events, Filter};
use super::secret::Secret;
use crate::gate::{Bounds, GateName};
use crate::time::Timestamp;

/// Which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(pub Uuid);

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As Standard Webhooks says: type, timestamp, data.
    #[default]
    Standard,
    /// As CloudEvents 1.0 says, structured.
    Cloudevents,
}

/// How many deliveries are on their way to an endpoint at once, unless it says otherwise.
pub const MAX_RUNNING: u32 = 8;

/// What is asked of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Where to.
    pub url: Box<str>,
    /// What for.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub description: Box<str>,
    /// Of what it is told.
    pub events: Events,
    /// Of which tasks.
    #[serde(default)]
    pub filter: Filter,
    /// Headers of every call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Box<str>, Box<str>>,
    /// How bodies are written.
    #[serde(default)]
    pub format: Format,
    /// How many deliveries may be on their way at once.
    pub max_running: u32,
}

/// What is told of the value of a header.
pub const HIDDEN: &str = "***";

impl Order {
    /// The same to be shown: of headers only their names.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.headers.values_mut().for_each(|it| *it = HIDDEN.into());
        self
    }
}

/// Why an endpoint was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyDisabled {
    /// Somebody said so.
    ByHand,
    /// It answered that it is gone for good (410).
    Gone,
    /// It failed for days.
    Failing,
}

impl WhyDisabled {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// A secret that signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signing {
    secret: Secret,
    /// Until then; `None`: until it is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// An endpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Whose it is: it is told of this tenant's tasks alone. `None`: of everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Box<str>>,
    /// What is asked of it.
    #[serde(flatten)]
    pub order: Order,
    /// When and why it was disabled: then nothing new is sent, and what waits is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<(Timestamp, WhyDisabled)>,
    /// Nothing has reached it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was set up.
    pub created_at: Timestamp,
    /// The newest first.
    secrets: Vec<Signing>,
}

/// How an endpoint took a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It did.
    Well,
    /// It did not.
    Badly,
    /// It never will.
    Gone,
}

impl Endpoint {
    /// One that begins now.
    pub fn new(tenant: Option<Box<str>>, order: Order, secret: Secret, now: Timestamp) -> Self {
        let secrets = vec![Signing { secret, until: None }];
        Self { tenant, order, disabled: None, failing_since: None, created_at: now, secrets }
    }

    /// The secrets that sign at `now`, the newest first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |it| it.until.is_none_or(|until| until > now)).map(|it| &it.secret)
    }

    /// The same, of which something else is asked.
    #[must_use]
    pub fn with(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The same with a new secret; the one before signs beside it for `overlap` more.
    #[must_use]
    pub fn rotated(mut self, secret: Secret, overlap: Duration, now: Timestamp) -> Self {
        let until = now.plus(overlap);
        self.secrets.retain(|it| it.until.is_none());
        self.secrets.iter_mut().for_each(|it| it.until = Some(until));
        self.secrets.retain(|_| !overlap.is_zero());
        self.secrets.insert(0, Signing { secret, until: None });
        self
    }

    /// The same, disabled unless it was before.
    #[must_use]
    pub fn disabled(mut self, why: WhyDisabled, now: Timestamp) -> Self {
        self.disabled.get_or_insert((now, why));
        self
    }

    /// The same, enabled: whether it fails is to be seen anew.
    #[must_use]
    pub fn enabled(mut self) -> Self {
        (self.disabled, self.failing_since) = (None, None);
        self
    }

    /// What it becomes after it took a delivery like this; `None`: it stays as it is. One that has failed for `patience` is
    /// disabled.
    pub fn after(&self, heard: Heard, patience: Duration, now: Timestamp) -> Option<Self> {
        let changed = match (heard, self.failing_since) {
            (Heard::Gone, _) => self.clone().disabled(WhyDisabled::Gone, now),
            (Heard::Well, _) => Self { failing_since: None, ..self.clone() },
            (Heard::Badly, None) => Self { failing_since: Some(now), ..self.clone() },
            (Heard::Badly, Some(since)) if now.since(since) >= patience => {
                self.clone().disabled(WhyDisabled::Failing, now)
            }
            (Heard::Badly, Some(_)) => return None,
        };
        Some(changed).filter(|it| it != self)
    }

    /// How many deliveries may be on their way: none while it is disabled, one while it fails, so that it holds up no other.
    pub fn bounds(&self) -> Bounds {
        let most = match (self.disabled, self.failing_since) {
            (Some(_), _) => 0,
            (None, Some(_)) => 1,
            (None, None) => self.order.max_running,
        };
        Bounds { max_running: Some(most), rate: None }
    }

    /// The gate that deliveries to it pass.
    pub fn gate(&self, id: EndpointId) -> GateName {
        GateName::Key { tenant: self.tenant.clone().unwrap_or_default(), key: key_of(id) }
    }
}

/// The key of that gate, which no task of a caller's names.
pub(super) fn key_of(id: EndpointId) -> Box<str> {
    format!("~webhook/{}", id.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn secret(byte: u8) -> Secret {
        Secret::of(&[byte; 32]).expect("long enough")
    }

    fn endpoint() -> Endpoint {
        let order = Order {
            url: "https://example.org/".into(),
            description: "".into(),
            events: Events::default(),
            filter: Filter::default(),
            headers: BTreeMap::new(),
            format: Format::default(),
            max_running: MAX_RUNNING,
        };
        Endpoint::new(None, order, secret(1), Timestamp::EPOCH)
    }

    #[test]
    fn two_secrets_sign_until_the_older_one_is_over() {
        let later = |days: u32| Timestamp::EPOCH.plus(DAY * days);
        let rotated = endpoint().rotated(secret(2), DAY, Timestamp::EPOCH);
        assert_eq!(rotated.signing(Timestamp::EPOCH).collect::<Vec<_>>(), [&secret(2), &secret(1)]);
        assert_eq!(rotated.signing(later(1)).collect::<Vec<_>>(), [&secret(2)]);
        let at_once = endpoint().rotated(secret(2), Duration::ZERO, Timestamp::EPOCH);
        assert_eq!(at_once.signing(Timestamp::EPOCH).collect::<Vec<_>>(), [&secret(2)]);
        let twice = rotated.rotated(secret(3), DAY, Timestamp::EPOCH);
        assert_eq!(twice.signing(Timestamp::EPOCH).collect::<Vec<_>>(), [&secret(3), &secret(2)]);
    }

    #[test]
    fn one_that_fails_gets_less_and_in_the_end_nothing() {
        let now = Timestamp::EPOCH;
        let most = |it: &Endpoint| it.bounds().max_running;
        let well = endpoint();
        assert_eq!((most(&well), well.after(Heard::Well, DAY, now)), (Some(MAX_RUNNING), None));
        let failing = well.after(Heard::Badly, DAY, now).expect("it changes");
        assert_eq!((most(&failing), failing.failing_since), (Some(1), Some(now)));
        assert_eq!(failing.after(Heard::Badly, DAY, now.plus(DAY / 2)), None);
        assert_eq!(failing.after(Heard::Well, DAY, now).as_ref(), Some(&well));
        let disabled = failing.after(Heard::Badly, DAY, now.plus(DAY)).expect("it changes");
        assert_eq!((most(&disabled), disabled.disabled), (Some(0), Some((now.plus(DAY), WhyDisabled::Failing))));
        assert_eq!(disabled.enabled(), well);
        let gone = well.after(Heard::Gone, DAY, now).expect("it changes");
        assert_eq!(gone.disabled.map(|it| it.1), Some(WhyDisabled::Gone));
    }

    #[test]
    fn what_is_kept_leads_back() {
        let kept = serde_json::to_string(&endpoint().disabled(WhyDisabled::ByHand, Timestamp::EPOCH)).expect("JSON");
        let read: Endpoint = serde_json::from_str(&kept).expect("it was written so");
        assert_eq!(read, endpoint().disabled(WhyDisabled::ByHand, Timestamp::EPOCH));
    }
}
