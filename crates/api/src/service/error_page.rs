//! GET `/docs/errors/{code}`: the page that a problem's `type` names.

use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::codes;
use crate::error::{NOT_FOUND, Refused};

/// The page loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) async fn error_page(call: Call) -> Answer {
    call.no_query()?;
    let found =
        codes::explain(&call.name).ok_or_else(|| Refused::new(NOT_FOUND, "there is no problem of this code"))?;
    let mut response = answer::ok(codes::html(&found));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
