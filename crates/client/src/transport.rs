//! Requests and answers as bytes. The only place that knows HTTP, and where its errors become ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::Url;
use serde::de::DeserializeOwned;
use tasklane_wire::problem::Problem;

use crate::client::ClientBuilder;
use crate::error::Error;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: less than the server keeps one (30 s), so that it is hardly ever found closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection on which nothing came for so long is asked whether the other side is still there: machines and networks
/// that go without a word are missed so.
const PROBE_AFTER: Duration = Duration::from_secs(5);
/// How often it is asked again.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How often in vain.
const PROBES: u32 = 3;

/// Speaks HTTP with one server.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

/// A request to be.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
    wait: Duration,
    within: Option<Duration>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, wait: Duration::ZERO, within: None }
    }

    /// An action without a body.
    pub(crate) fn act(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// A JSON body.
    pub(crate) fn post(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self { body: Some(json.into()), ..Self::act(path) }
    }

    /// A JSON body that becomes what is there.
    pub(crate) fn put(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self { method: Method::PUT, ..Self::post(path, json) }
    }

    /// A JSON body that changes what is there.
    pub(crate) fn patch(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self { method: Method::PATCH, ..Self::post(path, json) }
    }

    /// The answer must begin within this, where the client itself is more patient; how long it is, is another matter.
    pub(crate) fn within(mut self, most: Duration) -> Self {
        self.within = Some(most);
        self
    }

    /// Whether the answer may be long in coming, as somebody waits for something at the other side.
    pub(crate) fn waits(&self) -> bool {
        !self.wait.is_zero()
    }

    /// The answer may take this much longer.
    pub(crate) fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// An answer that is no error.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Answer(error.to_string()))
    }
}

impl Transport {
    pub(crate) fn new(builder: ClientBuilder) -> Result<Self, Error> {
        let base = base_url(&builder.url)?;
        // Fails only where the program chose a provider itself.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(PROBE_AFTER)
            .tcp_keepalive_interval(PROBE_EVERY)
            .tcp_keepalive_retries(PROBES)
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers(builder.api_key.as_deref())?)
            .user_agent(concat!("tasklane-client/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base) {
            http = http.no_proxy();
        }
        // What was sent and not acknowledged for as long as all the probes take is lost, too.
        #[cfg(target_os = "linux")]
        let http = http.tcp_user_timeout(PROBE_AFTER + PROBES * PROBE_EVERY);
        let http = http.build().map_err(|error| Error::Invalid(chain(&error)))?;
        Ok(Self { http, base, timeout: builder.timeout })
    }

    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends, and answers with what is no error.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let read_only = call.method == Method::GET;
        let url = format!("{}{}", self.url(), call.path);
        let patience = call.within.map_or(self.timeout, |most| most.min(self.timeout));
        let mut request = self.http.request(call.method, url).timeout(self.timeout + call.wait);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let unheard = |cause| match read_only {
            true => Error::Unreachable { url: self.url().into(), cause },
            false => Error::OutcomeUnknown { cause },
        };
        let no_answer = |error: reqwest::Error| {
            if error.is_builder() {
                Error::Invalid(chain(&error))
            } else if error.is_connect() {
                Error::Unreachable { url: self.url().into(), cause: chain(&error) }
            } else {
                unheard(chain(&error))
            }
        };
        let begun = tokio::time::timeout(patience + call.wait, request.send()).await;
        let response = begun.map_err(|_| unheard("no answer in time".into()))?.map_err(no_answer)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = response.bytes().await.map_err(no_answer)?;
        if status.is_success() { Ok(Answer { status, body }) } else { Err(refused(status, retry_after, &body)) }
    }
}

impl Transport {
    /// Begins to read an answer that comes piece by piece, for as long as it takes.
    pub(crate) async fn stream(&self, path: &str, last_event: Option<&str>) -> Result<reqwest::Response, Error> {
        let away = |cause| Error::Unreachable { url: self.url().into(), cause };
        let mut request = self.http.get(format!("{}{path}", self.url()));
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        let sent = tokio::time::timeout(self.timeout, request.send()).await;
        let response = sent.map_err(|_| away("no answer in time".into()))?.map_err(|error| away(chain(&error)))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|error| away(chain(&error)))?;
        Err(refused(status, retry_after, &body))
    }
}

fn base_url(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| Error::Invalid(format!("{text:?} is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() || url.query().is_some() {
        return Err(Error::Invalid(format!("{text:?} is not the URL of a server, such as http://127.0.0.1:8000")));
    }
    Ok(url)
}

/// A proxy is for other machines.
fn is_this_machine(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn headers(api_key: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(key) = api_key {
        let mut value = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| Error::Invalid("the API key holds characters that no header may hold".into()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// What the server said no with; something in between may have said it in other words.
fn refused(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let problem = serde_json::from_slice(body).unwrap_or_else(|_| Problem {
        page: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("an error").into(),
        status: status.as_u16(),
        detail: format!("the server answered {status}"),
        code: "http_error".into(),
        instance: None,
        errors: Vec::new(),
        failure: None,
    });
    Error::Refused { problem: Arc::new(problem), retry_after }
}

/// The error with all its causes; reqwest hides what matters in them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// `text` as one segment of a path (RFC 3986: all but unreserved characters are escaped).
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
