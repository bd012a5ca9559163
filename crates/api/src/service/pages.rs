//! `/docs` and `/redoc`: the OpenAPI document to look at. Everything they load comes from the binary.

use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::not_found;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// Nothing from anywhere else. The viewers write styles into their elements, and draw icons from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Assets change with the version of the binary only.
const FOR_AN_HOUR: &str = "public, max-age=3600";

/// Name, media type, encoding, bytes.
type Asset = (&'static str, &'static str, Option<&'static str>, &'static [u8]);

const ASSETS: [Asset; 5] = [
    ("docs.js", SCRIPT, None, include_bytes!("../../assets/docs.js")),
    ("redoc.js", SCRIPT, None, include_bytes!("../../assets/redoc.js")),
    ("swagger-ui.css", STYLE, Some("gzip"), include_bytes!("../../assets/swagger-ui.css.gz")),
    ("swagger-ui-bundle.js", SCRIPT, Some("gzip"), include_bytes!("../../assets/swagger-ui-bundle.js.gz")),
    ("redoc.standalone.js", SCRIPT, Some("gzip"), include_bytes!("../../assets/redoc.standalone.js.gz")),
];

/// GET `/docs`
pub(crate) async fn docs(call: Call) -> Answer {
    page(&call, include_bytes!("../../assets/docs.html"))
}

/// GET `/redoc`
pub(crate) async fn redoc(call: Call) -> Answer {
    page(&call, include_bytes!("../../assets/redoc.html"))
}

/// GET `/docs/assets/{asset}`
pub(crate) async fn asset(call: Call) -> Answer {
    call.no_query()?;
    let (_, media_type, encoding, bytes) = ASSETS.iter().find(|it| it.0 == call.name).ok_or_else(not_found)?;
    let mut response = of_type(media_type, bytes);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_AN_HOUR));
    headers.extend(encoding.map(|it| (CONTENT_ENCODING, HeaderValue::from_static(it))));
    Ok(response)
}

fn page(call: &Call, html: &'static [u8]) -> Answer {
    call.no_query()?;
    let mut response = of_type(HTML, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

fn of_type(media_type: &'static str, bytes: &'static [u8]) -> Response {
    let mut response = answer::ok(Bytes::from_static(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
