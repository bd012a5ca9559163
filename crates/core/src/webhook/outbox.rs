//! Which deliveries follow from what a commit does. They are accepted in the same commit, so that none is lost and none is made
//! of what did not happen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};
use xxhash_rust::xxh3::Xxh3;

use super::body::{self, Head};
use super::endpoint::{Endpoint, EndpointId, Format, WhyDisabled, key_of};
use super::event::{EventName, Events};
use super::secret::Secret;
use super::{CALLBACK, ENDPOINT_LABEL, EVENT_LABEL, QUEUE, TASK_LABEL, TYPE, timetable};
use crate::accept::{Deadlines, NewTask, Start, UniquePolicy};
use crate::gate::{Bounds, Limit};
use crate::limit;
use crate::outcome::Failure;
use crate::ports::store::Batch;
use crate::queue::is_of_system;
use crate::state::{Reason, State};
use crate::task::{Facts, Lane, Scope, Spec, Task, TaskId};
use crate::time::Timestamp;

/// Whom one task tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Where to.
    pub url: Box<str>,
    /// Of what.
    #[serde(default)]
    pub events: Events,
    /// What signs it; without one nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl Callback {
    /// The same to be shown.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        Self { secret: None, ..self.clone() }
    }
}

/// A task as it moved.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'t> {
    /// What is known of it; where it stands says `to`.
    pub facts: &'t Facts,
    /// Where it came from; `None`: it was accepted.
    pub from: Option<State>,
    /// Where it went.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Its result, JSON.
    pub result: Option<&'t [u8]>,
    /// Its failure.
    pub failure: Option<&'t Failure>,
    /// When.
    pub at: Timestamp,
}

impl<'t> Moved<'t> {
    /// A task that came from `from` to where it stands.
    pub fn of(task: &'t Task, from: Option<State>, at: Timestamp) -> Self {
        let (facts, reason) = (&task.facts, task.reason);
        let (result, failure) = (task.result.as_deref(), task.failure.as_ref());
        Self { facts, from, to: facts.state, reason, result, failure, at }
    }
}

/// An endpoint that is told of something.
#[derive(Debug, Clone)]
struct Subscription {
    id: EndpointId,
    endpoint: Arc<Endpoint>,
    scope: Arc<Scope>,
    limits: Arc<[Limit]>,
}

impl Subscription {
    fn of(id: EndpointId, endpoint: Arc<Endpoint>) -> Self {
        let own = Limit { key: key_of(id), bounds: Bounds::default() };
        // Those of one tenant share what they may take; what is told of everybody's tasks is the operator's own.
        let shared = endpoint.tenant.is_some().then(|| of_tenant(OF_ENDPOINTS));
        let limits = Limit::share(std::iter::once(own).chain(shared));
        Self { id, scope: Scope::of(endpoint.tenant.as_deref()), limits, endpoint }
    }

    fn wants(&self, moved: &Moved<'_>) -> bool {
        let Endpoint { tenant, order, .. } = &*self.endpoint;
        order.events.contains(EventName::Task(moved.to))
            && tenant.as_deref().is_none_or(|own| *own == *moved.facts.scope.tenant)
            && order.filter.shows(moved.facts)
    }

    fn delivery(&self, head: &Head, body: Bytes, task: Option<&Facts>) -> NewTask {
        let labels = [(ENDPOINT_LABEL, self.id.0.to_string()), (EVENT_LABEL, head.name.as_str().to_owned())];
        let spec = spec(labels, task, head.at);
        delivery(head.id, Arc::clone(&self.scope), body, Arc::clone(&self.limits), spec)
    }
}

/// The endpoints that are told of what happens.
#[derive(Debug, Clone, Default)]
pub struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    /// Those of these endpoints that are not disabled; `None`: there are none.
    pub fn of(endpoints: impl IntoIterator<Item = (EndpointId, Arc<Endpoint>)>) -> Option<Arc<Self>> {
        let enabled = endpoints.into_iter().filter(|(_, it)| it.disabled.is_none());
        let all: Vec<_> = enabled.map(|(id, endpoint)| Subscription::of(id, endpoint)).collect();
        (!all.is_empty()).then(|| Arc::new(Self(all)))
    }

    /// The deliveries that tell of an endpoint that was disabled; `draw` gives ids.
    pub fn disabled(
        &self,
        id: EndpointId,
        endpoint: &Endpoint,
        why: WhyDisabled,
        (at, mut draw): (Timestamp, impl FnMut() -> TaskId),
    ) -> Vec<NewTask> {
        let name = EventName::EndpointDisabled;
        let is_told = |it: &&Subscription| {
            let own = it.endpoint.tenant.as_deref();
            it.id != id
                && it.endpoint.order.events.contains(name)
                && (own.is_none() || own == endpoint.tenant.as_deref())
        };
        let told = self.0.iter().filter(is_told);
        told.map(|it| {
            let head = Head { id: draw(), name, at, format: it.endpoint.order.format };
            it.delivery(&head, body::of_endpoint(&head, id, &endpoint.order.url, Some(why)), None)
        })
        .collect()
    }
}

/// A delivery that only tries whether an endpoint hears.
pub fn test_delivery(own: TaskId, id: EndpointId, endpoint: &Arc<Endpoint>, at: Timestamp) -> NewTask {
    let head = Head { id: own, name: EventName::Test, at, format: endpoint.order.format };
    let body = body::of_endpoint(&head, id, &endpoint.order.url, None);
    Subscription::of(id, Arc::clone(endpoint)).delivery(&head, body, None)
}

/// What a batch brings.
#[derive(Debug)]
struct Known {
    /// The endpoints that its server knows.
    subscriptions: Option<Arc<Subscriptions>>,
    /// Its random bits.
    seed: u64,
}

/// What follows from one commit.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What each caller brings.
    callers: Vec<Known>,
    /// How often each task that somebody was told of moved in this commit.
    moves: HashMap<TaskId, u32>,
    /// Whose they are, and what.
    deliveries: Vec<(usize, NewTask)>,
}

impl Outbox {
    /// That of a commit of these batches.
    pub fn of<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> Self {
        let known = |it: &Batch| Known { subscriptions: it.subscriptions.clone(), seed: it.seed };
        Self { callers: batches.into_iter().map(known).collect(), ..Self::default() }
    }

    /// A task of `caller`'s moved. Where nobody is told of it this costs a look.
    pub fn follow(&mut self, caller: usize, moved: &Moved<'_>) {
        let Some(Known { subscriptions, seed }) = self.callers.get(caller) else { return };
        let is_told = subscriptions.is_some() || moved.facts.spec.callback.is_some();
        if is_told && !is_of_system(&moved.facts.lane.queue) {
            let (subscriptions, seed) = (subscriptions.clone(), *seed);
            self.tell((caller, seed), moved, subscriptions.as_deref());
        }
    }

    fn tell(&mut self, (caller, seed): (usize, u64), moved: &Moved<'_>, known: Option<&Subscriptions>) {
        let nth = self.moves.entry(moved.facts.id).or_default();
        *nth += 1;
        let name = EventName::Task(moved.to);
        let head = |endpoint, format| Head { id: id(moved, endpoint, (seed, *nth)), name, at: moved.at, format };
        // One text for all whose body does not name the delivery.
        let mut standard: Option<Bytes> = None;
        for subscription in known.iter().flat_map(|it| &it.0).filter(|it| it.wants(moved)) {
            let head = head(Some(subscription.id), subscription.endpoint.order.format);
            let body = match head.format {
                Format::Standard => standard.get_or_insert_with(|| body::of_task(&head, moved)).clone(),
                Format::Cloudevents => body::of_task(&head, moved),
            };
            self.deliveries.push((caller, subscription.delivery(&head, body, Some(moved.facts))));
        }
        if let Some(callback) = moved.facts.spec.callback.as_ref().filter(|it| it.events.contains(name)) {
            let head = head(None, Format::Standard);
            self.deliveries.push((caller, called_back(&head, callback, moved)));
        }
    }

    /// Takes what is to be accepted, and for whom, in the order of ids.
    pub fn take(&mut self) -> Vec<(usize, NewTask)> {
        self.deliveries.sort_unstable_by_key(|(_, delivery)| delivery.id);
        std::mem::take(&mut self.deliveries)
    }
}

fn called_back(head: &Head, callback: &Arc<Callback>, moved: &Moved<'_>) -> NewTask {
    let labels = [(ENDPOINT_LABEL, CALLBACK.to_owned()), (EVENT_LABEL, head.name.as_str().to_owned())];
    let spec = Spec { callback: Some(Arc::clone(callback)), ..spec(labels, Some(moved.facts), head.at) };
    let bounds = Bounds { max_running: Some(limit::CALLBACKS_AT_ONCE), rate: None };
    let limits = Limit::share([Limit { key: key_of_host(&callback.url), bounds }, of_tenant(OF_CALLBACKS)]);
    // The same scope as a task of the tenant's own: whatever accepted it.
    let scope = Scope::of(Some(&*moved.facts.scope.tenant).filter(|it| !it.is_empty()));
    delivery(head.id, scope, body::of_task(head, moved), limits, spec)
}

fn spec<const N: usize>(labels: [(&str, String); N], task: Option<&Facts>, at: Timestamp) -> Spec {
    let of_task = task.map(|facts| (TASK_LABEL, facts.id.to_string()));
    let labels = labels.into_iter().chain(of_task).map(|(key, value)| (key.into(), value.into()));
    Spec {
        max_attempts: timetable::ATTEMPTS,
        labels: labels.collect::<BTreeMap<_, _>>(),
        deadline: Some(at.plus(timetable::KEPT)),
        traceparent: task.and_then(|facts| facts.spec.traceparent.clone()),
        ..Spec::default()
    }
}

fn delivery(id: TaskId, scope: Arc<Scope>, payload: Bytes, limits: Arc<[Limit]>, spec: Spec) -> NewTask {
    static LANE: LazyLock<Arc<Lane>> = LazyLock::new(|| Lane::new(QUEUE, TYPE));
    NewTask {
        id,
        lane: Arc::clone(&LANE),
        scope,
        payload,
        start: Start::Now,
        priority: 0,
        limits,
        spec: Arc::new(spec),
        deadlines: Deadlines::default(),
        unique_policy: UniquePolicy::default(),
        idempotency: None,
    }
}

/// The gate of all deliveries to endpoints of a tenant's own.
const OF_ENDPOINTS: &str = "~webhooks";
/// The gate of all deliveries to whom tasks of a tenant call back.
const OF_CALLBACKS: &str = "~callbacks";

fn of_tenant(key: &str) -> Limit {
    Limit { key: key.into(), bounds: Bounds { max_running: Some(limit::DELIVERIES_OF_TENANT), rate: None } }
}

/// One gate for each host that is called back, whatever its port, so that none that hangs holds up another.
fn key_of_host(url: &str) -> Box<str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let is_port = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(&*authority, |(host, _)| host);
    let host: String = host.chars().take(limit::NAME_BYTES / 4).collect();
    format!("~callback/{host}").into()
}

/// The id of a delivery: made of the batch's random bits, what it tells and whom, so that every store makes the same of the
/// same. It begins with the moment, as every id does (RFC 9562, 5.7).
fn id(moved: &Moved<'_>, endpoint: Option<EndpointId>, (seed, nth): (u64, u32)) -> TaskId {
    let mut hash = Xxh3::with_seed(seed);
    hash.update(moved.facts.id.as_bytes());
    hash.update(endpoint.map_or(Uuid::nil(), |it| it.0).as_bytes());
    hash.update(&nth.to_le_bytes());
    let random = hash.digest128().to_le_bytes();
    let millis = u64::try_from(moved.at.as_micros() / 1000).unwrap_or(0);
    let counter_random: [u8; 10] = random[..10].try_into().expect("ten of sixteen");
    TaskId(Builder::from_unix_timestamp_millis(millis, &counter_random).into_uuid())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::endpoint::{MAX_RUNNING, Order};
    use super::super::event::Filter;
    use super::*;
    use crate::accept::tests::queued;

    fn endpoint(n: u128, change: impl FnOnce(&mut Endpoint)) -> (EndpointId, Arc<Endpoint>) {
        let order = Order {
            url: "https://example.org/hook".into(),
            description: "".into(),
            events: Events::default(),
            filter: Filter::default(),
            headers: BTreeMap::new(),
            format: Format::default(),
            max_running: MAX_RUNNING,
        };
        let secret = Secret::of(&[1; 32]).expect("long enough");
        let mut endpoint = Endpoint::new(None, order, secret, Timestamp::EPOCH);
        change(&mut endpoint);
        (EndpointId(Uuid::from_u128(n)), Arc::new(endpoint))
    }

    fn of_tenant(tenant: &str) -> Task {
        let mut task = queued();
        task.facts.scope = Scope::of(Some(tenant));
        task
    }

    fn moved(task: &Task, to: State) -> Moved<'_> {
        let (facts, at) = (&task.facts, Timestamp::from_micros(1_700_000_000_123_456));
        let reason = Reason::Succeeded;
        Moved { facts, from: Some(State::Running), to, reason, result: Some(br#"{"n":1}"#), failure: None, at }
    }

    fn told(endpoints: Vec<(EndpointId, Arc<Endpoint>)>, moved: &Moved<'_>) -> Vec<NewTask> {
        let mut outbox = of_seed(7, endpoints);
        outbox.follow(0, moved);
        outbox.take().into_iter().map(|(_, task)| task).collect()
    }

    fn of_seed(seed: u64, endpoints: impl IntoIterator<Item = (EndpointId, Arc<Endpoint>)>) -> Outbox {
        Outbox::of([&Batch { subscriptions: Subscriptions::of(endpoints), seed, ..Batch::default() }])
    }

    #[test]
    fn those_are_told_who_asked_for_it() {
        let endpoints = || {
            vec![
                endpoint(1, |_| {}),
                endpoint(2, |it| it.tenant = Some("acme".into())),
                endpoint(3, |it| it.order.filter.queue = Some("other".into())),
                endpoint(4, |it| *it = it.clone().disabled(WhyDisabled::ByHand, Timestamp::EPOCH)),
                endpoint(5, |it| it.order.events = Events::of([EventName::Task(State::Queued)])),
            ]
        };
        let ids = |task: &Task, to| {
            let label = |it: &NewTask| it.spec.labels[ENDPOINT_LABEL].chars().last().expect("an id is not empty");
            told(endpoints(), &moved(task, to)).iter().map(label).collect::<String>()
        };
        assert_eq!(ids(&of_tenant("acme"), State::Succeeded), "12");
        assert_eq!(ids(&of_tenant("other"), State::Succeeded), "1");
        assert_eq!(ids(&queued(), State::Queued), "5");
        let mut own = queued();
        own.facts.lane = Lane::new(QUEUE, TYPE);
        assert_eq!(ids(&own, State::Succeeded), "", "deliveries tell of nothing themselves");
    }

    #[test]
    fn a_delivery_says_what_happened_in_the_form_that_was_asked_for() {
        let task = of_tenant("acme");
        let formats = vec![endpoint(1, |_| {}), endpoint(2, |it| it.order.format = Format::Cloudevents)];
        let [standard, cloudevent] =
            <[NewTask; 2]>::try_from(told(formats, &moved(&task, State::Succeeded))).expect("two");
        let data = json!({
            "task": task.facts.id.to_string(), "type": "t", "queue": "q", "tenant": "acme", "from": "running",
            "to": "succeeded", "reason": "succeeded", "attempt": 0, "at": "2023-11-14T22:13:20.123456Z",
            "result": {"n": 1},
        });
        let body = |it: &NewTask| serde_json::from_slice::<Value>(&it.payload).expect("JSON");
        let timestamp = "2023-11-14T22:13:20.123456Z";
        let expected = json!({"type": "task.succeeded", "timestamp": timestamp, "data": data});
        assert_eq!(body(&standard), expected);
        assert_eq!(body::media_type_of(&standard.payload), "application/json");
        assert_eq!(body::media_type_of(&cloudevent.payload), body::media_type(Format::Cloudevents));
        assert_eq!(
            body(&cloudevent),
            json!({
                "specversion": "1.0", "id": cloudevent.id.to_string(), "source": "/v1/tasks", "type": "task.succeeded",
                "time": timestamp, "subject": task.facts.id.to_string(), "datacontenttype": "application/json", "data": data,
            })
        );
    }

    #[test]
    fn a_result_that_is_too_large_is_told_by_its_size() {
        let (task, large) = (queued(), format!("\"{}\"", "x".repeat(limit::RESULT_TOLD_BYTES)));
        let moved = Moved { result: Some(large.as_bytes()), ..moved(&task, State::Succeeded) };
        let told = told(vec![endpoint(1, |_| {})], &moved);
        let body: Value = serde_json::from_slice(&told[0].payload).expect("JSON");
        assert_eq!(body["data"]["result_bytes"], large.len());
        assert_eq!(body["data"].get("result"), None);
    }

    #[test]
    fn a_callback_is_told_of_ends_and_passes_the_gate_of_its_host() {
        let mut task = queued();
        let secret = Secret::of(&[2; 32]).ok();
        let callback = Callback { url: "https://Example.org:8443/done?x".into(), events: Events::default(), secret };
        task.facts.spec = Spec::share(Spec { callback: Some(Arc::new(callback.clone())), ..Spec::default() });
        assert!(told(Vec::new(), &moved(&task, State::Queued)).is_empty());
        let told = told(Vec::new(), &moved(&task, State::Failed));
        assert_eq!(told.len(), 1);
        let keys: Vec<&str> = told[0].limits.iter().map(|it| &*it.key).collect();
        assert_eq!(keys, ["~callback/example.org", "~callbacks"]);
        for url in ["http://[::1]/a", "http://[::1]:80/a", "http://[::1]"] {
            assert_eq!(*key_of_host(url), *"~callback/[::1]");
        }
        assert_eq!(told[0].spec.callback.as_deref(), Some(&callback));
        assert_eq!(*told[0].spec.labels[ENDPOINT_LABEL], *CALLBACK);
    }

    #[test]
    fn ids_are_made_of_what_is_told_and_tell_two_moves_apart() {
        let task = queued();
        let mut outbox = of_seed(7, [endpoint(1, |_| {}), endpoint(2, |_| {})]);
        outbox.follow(0, &moved(&task, State::Cancelled));
        outbox.follow(0, &moved(&task, State::Cancelled));
        let mut ids: Vec<String> = outbox.take().iter().map(|(_, it)| it.id.to_string()).collect();
        assert!(ids.iter().all(|it| it.starts_with("018bcfe5-687b-7")), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        let again = told(vec![endpoint(1, |_| {})], &moved(&task, State::Cancelled));
        assert!(ids.contains(&again[0].id.to_string()), "the same of the same");
        let mut other = of_seed(8, [endpoint(1, |_| {})]);
        other.follow(0, &moved(&task, State::Cancelled));
        assert!(!ids.contains(&other.take()[0].1.id.to_string()), "another commit of the same moment");
    }
}
