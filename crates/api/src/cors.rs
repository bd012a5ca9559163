//! Which pages of other origins may call a route and read the answer (the Fetch standard's CORS). Closed for `/v1` unless
//! an origin is configured. A dialect's clients have pages of their own, so its routes are open to some: see [`Grant::of`].

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::dialects::Dialect;
use crate::host::is_own_page;
use crate::route::Group;

/// Headers of answers that a page may read besides those that every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static("Link, Location, Retry-After, X-Request-Id");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What the page a request comes from was granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The page's origin, if its answers may be read.
    origin: Option<HeaderValue>,
    /// Whether another origin could have been granted something else.
    varies: bool,
}

impl Grant {
    /// The one rule. Configured origins may call everything. The routes of a dialect may be called by pages of this
    /// machine as long as no key guards them; once keys exist, by every page, as only a key then tells who may. Never with
    /// credentials: nothing here goes by cookies.
    pub fn of(configured: &[Box<str>], dialect: Option<Dialect>, headers: &HeaderMap) -> Self {
        let granted =
            |origin: &str| configured.iter().any(|it| **it == *origin) || (dialect.is_some() && is_own_page(origin));
        let mut origins = headers.get_all(ORIGIN).iter();
        let one = origins.next().filter(|_| origins.next().is_none());
        let origin = one.filter(|it| it.to_str().is_ok_and(granted)).cloned();
        Self { origin, varies: dialect.is_some() || !configured.is_empty() }
    }

    /// Whether the page may call and read.
    pub fn is_given(&self) -> bool {
        self.origin.is_some()
    }

    /// The answer to a browser that asks before it sends the real request; `None` where it does not ask, or in vain.
    pub fn preflight(&self, request: &Request, group: &Group) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || !self.is_given() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let methods = HeaderValue::from_str(&group.methods());
        headers.extend(methods.ok().map(|it| (ACCESS_CONTROL_ALLOW_METHODS, it)));
        if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// Says in an answer what was granted.
    pub fn write(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
