//! What refuses a request, as a problem: the only place where errors of the rooms below become status codes.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use tasklane_core::accept;
use tasklane_core::error::{HandError, Refusal, StoreError};
use tasklane_engine::{HandCallError, KeyCallError, RerunError, ScheduleError, SubmitError, WebhookError};
use tasklane_wire::json::JsonError;
use tasklane_wire::problem::{FieldError, MEDIA_TYPE, Problem};
use tasklane_wire::read::{Findings, Mistake};

/// A sort of problem; what programs go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable, snake case.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code { code: $code, status: $status, title: $title };)*

        /// Every code, in the order of statuses.
        pub const CODES: &[Code] = &[$($name,)*];
    };
}

codes! {
    INCOMPLETE_BODY = 400 "incomplete_body" "The body broke off";
    MALFORMED_JSON = 400 "malformed_json" "The body is not JSON";
    UNAUTHORIZED = 401 "unauthorized" "No key that opens anything";
    FORBIDDEN = 403 "forbidden" "The key does not allow it";
    ORIGIN_NOT_ALLOWED = 403 "origin_not_allowed" "Not from that page";
    DELIVERY_NOT_FOUND = 404 "delivery_not_found" "No such delivery";
    GATE_NOT_FOUND = 404 "gate_not_found" "No such gate";
    KEY_NOT_FOUND = 404 "key_not_found" "No such key";
    NOT_FOUND = 404 "not_found" "No such route";
    QUEUE_NOT_FOUND = 404 "queue_not_found" "No such queue";
    SCHEDULE_NOT_FOUND = 404 "schedule_not_found" "No such schedule";
    TASK_NOT_FOUND = 404 "task_not_found" "No such task";
    TYPE_NOT_FOUND = 404 "type_not_found" "No such type";
    WEBHOOK_NOT_FOUND = 404 "webhook_not_found" "No such webhook";
    METHOD_NOT_ALLOWED = 405 "method_not_allowed" "Not by that method";
    BODY_TIMEOUT = 408 "body_timeout" "The body came too slowly";
    ID_TAKEN = 409 "id_taken" "The id is taken";
    INVALID_TRANSITION = 409 "invalid_transition" "The task's state does not allow it";
    KEY_IN_USE = 409 "key_in_use" "The key is not revoked";
    KEY_REVOKED = 409 "key_revoked" "The key is revoked";
    LAST_MASTER_KEY = 409 "last_master_key" "Nothing else opens everything";
    NAME_TAKEN = 409 "name_taken" "The name is taken";
    QUEUE_DRAINING = 409 "queue_draining" "The queue takes nothing new";
    SET_BY_CONFIG = 409 "set_by_config" "The configuration says what it is";
    TASK_NOT_FINISHED = 409 "task_not_finished" "The task is not finished";
    UNIQUE_HELD = 409 "unique_held" "The unique key is held";
    WEBHOOK_DISABLED = 409 "webhook_disabled" "The webhook is disabled";
    PAYLOAD_TOO_LARGE = 413 "payload_too_large" "Too large";
    TOO_MANY_TASKS = 413 "too_many_tasks" "Too many tasks at once";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported_media_type" "Not a type that is read here";
    HOST_NOT_ALLOWED = 421 "host_not_allowed" "Not under that name";
    BAD_CURSOR = 422 "bad_cursor" "No such cursor";
    IDEMPOTENCY_MISMATCH = 422 "idempotency_mismatch" "The idempotency key was used for another task";
    INVALID = 422 "invalid" "The request is invalid";
    NOT_SUPPORTED = 422 "not_supported" "Not supported by this version";
    TASK_FAILED = 422 "task_failed" "The task has no result";
    RATE_LIMITED = 429 "rate_limited" "Too many calls";
    TOO_MANY_BAD_KEYS = 429 "too_many_bad_keys" "Too many bad keys";
    TOO_MANY_CALLS = 429 "too_many_calls" "Too many calls at once";
    TOO_MANY_GATES = 429 "too_many_gates" "Too many keys of limits";
    TOO_MANY_LANES = 429 "too_many_lanes" "Too many queues and types";
    TOO_MANY_STREAMS = 429 "too_many_streams" "Too many open streams";
    TOO_MANY_WEBHOOKS = 429 "too_many_webhooks" "Too many webhooks";
    INTERNAL = 500 "internal" "The server failed";
    STORE_DAMAGED = 500 "store_damaged" "The store is damaged";
    NOT_READY = 503 "not_ready" "Not ready";
    STORE_AWAY = 503 "store_away" "The store is away";
    TOO_BUSY = 503 "too_busy" "Too much at once";
    DISK_FULL = 507 "disk_full" "The disk is full";
}

/// Seconds after which it is worth trying again.
const SOON: u32 = 1;
const AFTER_CLEANING: u32 = 5;
const AFTER_SWEEP: u32 = 60;

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refused {
    pub code: Code,
    problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refused {
    /// A problem of this sort; `detail` says what was wrong and what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let problem = Problem {
            page: format!("/docs/errors/{}", code.code),
            title: code.title.to_owned(),
            status: code.status,
            detail: detail.into(),
            code: code.code.to_owned(),
            instance: None,
            errors: Vec::new(),
            failure: None,
        };
        Self { code, problem: Box::new(problem), headers: Vec::new() }
    }

    /// The same, naming members of the request.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.problem.errors = errors;
        self
    }

    /// The same, with a task's failure.
    pub fn with_failure(mut self, failure: Option<tasklane_wire::task::FailureShape>) -> Self {
        self.problem.failure = failure;
        self
    }

    /// The same, with when to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.push((RETRY_AFTER, seconds.into()));
        self
    }

    /// The same, with the quota that is used up (draft-ietf-httpapi-ratelimit-headers).
    pub fn quota(mut self, name: &str, quota: usize, seconds: u32) -> Self {
        let policy = HeaderValue::from_str(&format!("\"{name}\";q={quota}"));
        let left = HeaderValue::from_str(&format!("\"{name}\";r=0;t={seconds}"));
        self.headers.extend(policy.ok().map(|it| (HeaderName::from_static("ratelimit-policy"), it)));
        self.headers.extend(left.ok().map(|it| (HeaderName::from_static("ratelimit"), it)));
        self.retry_after(seconds)
    }

    /// The same, with how to say who calls (RFC 9110, 11.6.1).
    pub fn challenge(mut self) -> Self {
        self.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tasklane\"")));
        self
    }

    /// The same, with the methods that are allowed.
    pub fn allow(mut self, methods: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(methods).ok().map(|it| (ALLOW, it)));
        self
    }

    /// The same, about item `index` of a batch.
    pub fn of_item(mut self, index: usize) -> Self {
        if self.problem.errors.is_empty() {
            let message = self.problem.detail.clone();
            self.problem.errors.push(FieldError { path: format!("/{index}"), message });
        }
        self
    }

    /// The problem, where it stands inside of another answer.
    pub fn into_problem(self) -> Problem {
        *self.problem
    }

    /// What was wrong and what to do.
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }

    /// The answer in the words of a dialect: the same status and headers with a body of its own.
    pub fn into_json(self, body: Vec<u8>) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.headers);
        response
    }

    /// The answer to the request with this id.
    pub fn into_response(self, request: &str) -> Response {
        let mut problem = self.problem;
        problem.instance = Some(request.to_owned());
        let body = serde_json::to_vec(&*problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<JsonError> for Refused {
    fn from(error: JsonError) -> Self {
        Self::new(MALFORMED_JSON, error.to_string())
    }
}

impl From<Findings> for Refused {
    fn from(findings: Findings) -> Self {
        let (code, detail) = if findings.has(Mistake::Invalid) {
            (INVALID, "mend what `errors` names and send it again")
        } else if findings.has(Mistake::TooLarge) {
            (PAYLOAD_TOO_LARGE, "`errors` names what is too large")
        } else {
            (NOT_SUPPORTED, "leave out what `errors` names; this version of the server cannot do it")
        };
        Self::new(code, detail).with_errors(findings.into_errors())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => disk_full(),
            StoreError::Away(why) => {
                // The engine says so once, when it begins.
                tracing::debug!(why, "the store is away");
                Self::new(STORE_AWAY, "the store does not answer; try again").retry_after(SOON)
            }
            StoreError::Damaged(why) => {
                tracing::error!(why, "the store is damaged");
                Self::new(STORE_DAMAGED, "what is stored is damaged; `tasklane db check` on the server says where")
            }
        }
    }
}

fn disk_full() -> Refused {
    let detail = "the server's disk is full; what was accepted stays and is finished. Try again when there is room";
    Refused::new(DISK_FULL, detail).retry_after(AFTER_CLEANING)
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::IdempotencyMismatch { .. } => {
                Self::new(IDEMPOTENCY_MISMATCH, format!("{text}; use a new key for a new task"))
            }
            Refusal::IdTaken { .. } => Self::new(ID_TAKEN, format!("{text}; use another id, or none")),
            Refusal::UniqueHeld { .. } => {
                Self::new(UNIQUE_HELD, format!("{text}; wait for its end, or submit with the policy return or replace"))
            }
            Refusal::QueueDraining { .. } => {
                Self::new(QUEUE_DRAINING, format!("{text}; resume the queue or use another"))
            }
            Refusal::TooManyLanes { limit } => {
                let detail = format!("{text}; put what varies into labels or the payload");
                Self::new(TOO_MANY_LANES, detail).quota("lanes", limit, AFTER_SWEEP)
            }
            Refusal::TooManyGates { limit } => {
                let detail = format!("{text}; name fewer keys, or wait until tasks that named others are gone");
                Self::new(TOO_MANY_GATES, detail).quota("gates", limit, AFTER_SWEEP)
            }
            Refusal::DiskFull => disk_full(),
        }
    }
}

impl From<accept::Refused> for Refused {
    fn from(refused: accept::Refused) -> Self {
        Self::from(refused.refusal)
    }
}

impl From<SubmitError> for Refused {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refused) => refused.into(),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<HandCallError> for Refused {
    fn from(error: HandCallError) -> Self {
        match error {
            HandCallError::Store(error) => error.into(),
            HandCallError::Refused(HandError::NotFound) => task_not_found(),
            HandCallError::Refused(HandError::InvalidTransition { state, wanted }) => {
                let detail = HandError::InvalidTransition { state, wanted }.to_string();
                Self::new(INVALID_TRANSITION, detail)
            }
            HandCallError::Refused(HandError::UniqueHeld { task }) => Refusal::UniqueHeld { task }.into(),
        }
    }
}

impl From<ScheduleError> for Refused {
    fn from(error: ScheduleError) -> Self {
        let text = error.to_string();
        match error {
            ScheduleError::NotFound => schedule_not_found(),
            ScheduleError::NameTaken => {
                Self::new(NAME_TAKEN, format!("{text}; take another name, or change that one: GET /v1/schedules?name="))
            }
            ScheduleError::OfConfig => {
                Self::new(SET_BY_CONFIG, format!("{text}; change it there and start the server anew, or pause it"))
            }
            ScheduleError::Timetable(error) => Self::new(INVALID, error.to_string()),
            ScheduleError::Busy => Self::new(TOO_BUSY, text).retry_after(SOON),
            ScheduleError::Submit(error) => error.into(),
            ScheduleError::Store(error) => error.into(),
        }
    }
}

impl From<KeyCallError> for Refused {
    fn from(error: KeyCallError) -> Self {
        let text = error.to_string();
        match error {
            KeyCallError::NotFound => key_not_found(),
            KeyCallError::NameTaken => Self::new(NAME_TAKEN, format!("{text}; take another name, or rotate that one")),
            KeyCallError::Revoked => Self::new(KEY_REVOKED, format!("{text}; make another one")),
            KeyCallError::NotRevoked => Self::new(KEY_IN_USE, format!("{text}; revoke it first")),
            KeyCallError::Busy => Self::new(TOO_BUSY, text).retry_after(SOON),
            KeyCallError::Store(error) => error.into(),
        }
    }
}

impl From<WebhookError> for Refused {
    fn from(error: WebhookError) -> Self {
        let text = error.to_string();
        match error {
            WebhookError::NotFound => webhook_not_found(),
            WebhookError::NoDelivery => delivery_not_found(),
            WebhookError::TooMany(most) | WebhookError::TooManyOfOne(most) => Self::new(
                TOO_MANY_WEBHOOKS,
                format!("{text}; remove some, or let one be told of more"),
            )
            .quota("webhooks", most, AFTER_SWEEP),
            WebhookError::Disabled => Self::new(WEBHOOK_DISABLED, text),
            WebhookError::Busy => Self::new(TOO_BUSY, text).retry_after(SOON),
            WebhookError::Submit(error) => error.into(),
            WebhookError::Hand(error) => error.into(),
            WebhookError::Store(error) => error.into(),
        }
    }
}

impl From<RerunError> for Refused {
    fn from(error: RerunError) -> Self {
        match error {
            RerunError::NotFound => task_not_found(),
            RerunError::OfSystem => Self::new(FORBIDDEN, format!("{error}; ask for what it did once more")),
            RerunError::Submit(error) => error.into(),
        }
    }
}

/// There is no such task.
pub(crate) fn task_not_found() -> Refused {
    Refused::new(TASK_NOT_FOUND, "there is no task with this id; it may have been deleted or kept long enough")
}

/// There is no such schedule.
pub(crate) fn schedule_not_found() -> Refused {
    Refused::new(SCHEDULE_NOT_FOUND, "there is no schedule with this id; GET /v1/schedules tells of all")
}

/// There is no such webhook.
pub(crate) fn webhook_not_found() -> Refused {
    Refused::new(WEBHOOK_NOT_FOUND, "there is no webhook with this id; GET /v1/webhooks tells of all")
}

/// There is no such delivery.
pub(crate) fn delivery_not_found() -> Refused {
    Refused::new(
        DELIVERY_NOT_FOUND,
        "there is no delivery with this id to this webhook; it may have been kept long enough",
    )
}

/// The key is of another tenant than was asked for.
pub(crate) fn not_of_that_tenant(own: &str) -> Refused {
    Refused::new(
        FORBIDDEN,
        format!("the key that was sent is of the tenant {own:?}, and reaches nothing of another one"),
    )
}

/// There is no such key.
pub(crate) fn key_not_found() -> Refused {
    Refused::new(KEY_NOT_FOUND, "there is no key with this id; GET /v1/keys tells of all")
}

/// There is no such route.
pub(crate) fn not_found() -> Refused {
    Refused::new(NOT_FOUND, "there is no such route in this version of the server")
}

/// Something inside broke; the log knows what, by the request id.
pub(crate) fn internal() -> Refused {
    Refused::new(INTERNAL, "something inside the server failed; its log says what, under this request id")
}

/// Too much is being read at once.
pub(crate) fn too_busy() -> Refused {
    Refused::new(TOO_BUSY, "the server is reading as many large bodies as it may; try again").retry_after(SOON)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_are_named_once_and_stand_in_order() {
        for pair in CODES.windows(2) {
            assert!((pair[0].status, pair[0].code) < (pair[1].status, pair[1].code), "{}", pair[1].code);
        }
        for code in CODES {
            assert!(StatusCode::from_u16(code.status).is_ok_and(|it| it.is_client_error() || it.is_server_error()));
        }
    }

    #[test]
    fn what_may_pass_says_when_to_try_again() {
        let passing = [
            Refused::from(StoreError::Away("gone".into())),
            Refused::from(StoreError::DiskFull),
            Refused::from(Refusal::DiskFull),
            Refused::from(Refusal::TooManyLanes { limit: 1 }),
            Refused::from(Refusal::TooManyGates { limit: 1 }),
            too_busy(),
        ];
        let quota = Refused::from(Refusal::TooManyLanes { limit: 7 }).into_response("r");
        assert_eq!(quota.headers()["ratelimit-policy"], "\"lanes\";q=7");
        assert_eq!(quota.headers()["ratelimit"], "\"lanes\";r=0;t=60");
        for refused in passing {
            assert!(refused.into_response("r").headers().contains_key(RETRY_AFTER));
        }
    }

    #[test]
    fn an_invalid_member_weighs_more_than_one_that_is_not_built() {
        let at = tasklane_wire::read::Path::ROOT;
        let mut findings = Findings::default();
        findings.note(Mistake::NotSupported, &at.key("group"), "x");
        assert_eq!(Refused::from(findings.clone()).code, NOT_SUPPORTED);
        findings.note(Mistake::TooLarge, &at.key("payload"), "x");
        assert_eq!(Refused::from(findings.clone()).code, PAYLOAD_TOO_LARGE);
        findings.invalid(&at.key("type"), "x");
        assert_eq!(Refused::from(findings).code, INVALID);
    }
}
