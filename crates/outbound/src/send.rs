//! One call: checked, sent, read up to a limit.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use thiserror::Error;

use crate::guard::Guard;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept, and how many to one host: those who set URLs are not to say how many
/// sockets a server holds open.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_MOST: usize = 8;
/// Longest `Retry-After` that is believed.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(24 * 3600);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// It is no URL, or none that is called.
    #[error("{0}")]
    Invalid(String),
    /// The guard does not let it through.
    #[error("{host} is not a public address; the operator may allow it with outbound_allow (TASKLANE_OUTBOUND_ALLOW)")]
    Forbidden {
        /// The host of the URL.
        host: String,
    },
    /// No whole answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is larger than was asked for.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// No connection, or it broke.
    #[error("{0}")]
    Failed(String),
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// By which method.
    pub method: Method,
    /// Where to; see [`Outbound::check`].
    pub url: String,
    /// Headers beside those every request has.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the whole call may take.
    pub timeout: Duration,
    /// Most bytes of the answer's body.
    pub most: usize,
    /// What a larger one comes to.
    pub excess: Excess,
}

/// What an answer with a larger body than was asked for comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Excess {
    /// [`Error::TooLarge`].
    #[default]
    Refused,
    /// It is cut: the status is what counts. What has not come [`BODY_TIMEOUT`] after the headers is not waited for either.
    Cut,
}

/// How long a body is waited for that may be cut.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// How soon the other side may be asked again, if it said so; at most a day.
    pub retry_after: Option<Duration>,
}

/// Calls URLs that somebody set.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Made with the first call: to read the system's certificates takes a while.
    http: Arc<OnceLock<Client>>,
    guard: Arc<Guard>,
}

impl Outbound {
    /// A client behind `guard`.
    pub fn new(guard: Guard) -> Self {
        Self { http: Arc::default(), guard: Arc::new(guard) }
    }

    /// The client; an error where the system's certificates cannot be used.
    fn client(&self) -> Result<&Client, Error> {
        if let Some(made) = self.http.get() {
            return Ok(made);
        }
        // One that cannot be made now may be made by the next call.
        let made = client(&self.guard)?;
        Ok(self.http.get_or_init(|| made))
    }

    /// Whether `url` may be called, as far as can be told without resolving its name.
    ///
    /// # Errors
    /// It is not `http` or `https`, holds a user or a password, or names an address that the guard forbids.
    pub fn check(&self, url: &str) -> Result<(), Error> {
        self.target(url).map(drop)
    }

    fn target(&self, text: &str) -> Result<Url, Error> {
        let url = Url::parse(text).map_err(|error| Error::Invalid(format!("no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Invalid("a URL to call begins with http:// or https://".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Invalid("a URL to call holds no user and no password; use a header".into()));
        }
        let host = url.host_str().unwrap_or_default();
        // An address is not resolved, so it is judged here. `Url` has read its odd forms (octal, hexadecimal) already.
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        if address.is_ok_and(|it| !self.guard.permits(it)) {
            return Err(Error::Forbidden { host: host.to_owned() });
        }
        Ok(url)
    }

    /// Sends, and reads the answer whole.
    ///
    /// # Errors
    /// There is no whole answer; every status is one.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let url = self.target(&request.url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let (timeout, most, excess) = (request.timeout, request.most, request.excess);
        let sending = self.client()?.request(request.method, url).headers(request.headers).body(request.body);
        let failed = |error: reqwest::Error| failed(&error, &host);
        let whole = async {
            let response = sending.send().await.map_err(failed)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let retry_after = retry_after(&headers, SystemTime::now());
            let body = match excess {
                Excess::Refused => read(response, most).await?,
                Excess::Cut => read_beginning(response, most).await,
            };
            Ok(Answer { status, headers, body, retry_after })
        };
        tokio::time::timeout(timeout, whole).await.unwrap_or(Err(Error::Timeout(timeout)))
    }
}

fn client(guard: &Arc<Guard>) -> Result<Client, Error> {
    // Fails only where a provider is chosen already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .dns_resolver(Arc::new(Resolver(Arc::clone(guard))))
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MOST)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("tasklane/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Failed(chain(&error)))
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let date = || httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default());
    seconds.or_else(date).map(|it| it.min(RETRY_AFTER_MOST))
}

async fn read(mut response: reqwest::Response, most: usize) -> Result<Bytes, Error> {
    if response.content_length().is_some_and(|it| it > most as u64) {
        return Err(Error::TooLarge(most));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error, ""))? {
        if body.len() + chunk.len() > most {
            return Err(Error::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What of the body comes soon, and no more than `most`.
async fn read_beginning(mut response: reqwest::Response, most: usize) -> Bytes {
    let mut body = BytesMut::new();
    let reading = async {
        while body.len() < most
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
        }
    };
    // Whatever has come by then is there.
    let _ended = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    body.freeze()
}

fn failed(error: &reqwest::Error, host: &str) -> Error {
    let mut cause = error.source();
    while let Some(it) = cause {
        if it.is::<Forbidden>() || it.downcast_ref::<io::Error>().and_then(io::Error::get_ref).is_some_and(is_forbidden)
        {
            return Error::Forbidden { host: host.to_owned() };
        }
        cause = it.source();
    }
    Error::Failed(chain(error))
}

fn is_forbidden(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<Forbidden>()
}

/// The error with its causes. The URL is left out: its query may hold a secret.
fn chain(error: &reqwest::Error) -> String {
    let (mut text, mut cause) = (String::from("the call failed"), error.source());
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    text
}

/// No address of a name may be called.
#[derive(Debug, Error)]
#[error("no public address")]
struct Forbidden;

/// Resolves names, and leaves out what the guard forbids.
struct Resolver(Arc<Guard>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|it| guard.permits(it.ip())).collect();
            if permitted.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wish_to_be_asked_later_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("99999999"), Some(RETRY_AFTER_MOST));
        assert_eq!(after("soon"), None);
    }
}
