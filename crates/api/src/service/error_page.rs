//! GET `/docs/errors/{code}`: the page that a problem's `type` names.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::codes;
use crate::error::{NOT_FOUND, Refused};

pub(crate) async fn error_page(call: Call) -> Answer {
    call.no_query()?;
    let found =
        codes::explain(&call.name).ok_or_else(|| Refused::new(NOT_FOUND, "there is no problem of this code"))?;
    let mut response = answer::ok(codes::html(&found));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(response)
}
