//! Its OpenAPI document, and a page of it for people that needs nothing from elsewhere.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::call::Call;

/// The document; a test walks it against the routes.
const DOCUMENT: &str = include_str!("openapi.json");

/// GET `/openapi.json`, and `/openapi/atropos.json` on Tasklane's own port.
pub(super) async fn openapi(_: Call) -> Answer {
    Ok(answer::ok(DOCUMENT))
}

/// GET `/docs`
pub(super) async fn page(_: Call) -> Answer {
    static PAGE: LazyLock<String> = LazyLock::new(render);
    let mut response: Response = answer::ok(PAGE.as_str());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(response)
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}\
h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}code,pre{font:14px/1.4 ui-monospace,monospace}\
pre{background:#f4f4f2;padding:.75rem;overflow:auto}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}";

fn render() -> String {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    let info = &document["info"];
    let title = escaped(&info["title"]);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><p>{}</p><p>The document for programs: <a href=\"openapi.json\">openapi.json</a></p>",
        escaped(&info["description"])
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            operation_section(&mut page, path, method, operation);
        }
    }
    page
}

// Writing to a String cannot fail.
fn operation_section(page: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        page,
        "<h2><code>{} {}</code></h2><p>{}</p>",
        method.to_uppercase(),
        text(path),
        escaped(&operation["summary"])
    );
    if let Some(parameters) = operation["parameters"].as_array() {
        let rows = parameters.iter().map(|it| (escaped(&it["name"]), escaped(&it["description"])));
        table(page, "parameter", rows);
    }
    if let Some(example) = operation.pointer("/requestBody/content/application~1json/example") {
        let _ = write!(page, "<pre>{}</pre>", text(&format!("{example:#}")));
    }
    let responses = operation["responses"].as_object().into_iter().flatten();
    table(page, "status", responses.map(|(status, it)| (text(status), escaped(&it["description"]))));
}

fn table(page: &mut String, head: &str, rows: impl Iterator<Item = (String, String)>) {
    let _ = write!(page, "<table><tr><th>{head}<th>what");
    for (name, what) in rows {
        let _ = write!(page, "<tr><td><code>{name}</code><td>{what}");
    }
    page.push_str("</table>");
}

fn escaped(value: &Value) -> String {
    text(value.as_str().unwrap_or_default())
}

fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::dialects::Dialect;

    #[test]
    fn the_document_and_the_routes_name_the_same_operations() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut written = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                written.insert((method.to_uppercase(), path.clone()));
                assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{path}");
                assert!(!operation["responses"].as_object().unwrap().is_empty());
            }
        }
        let of_atropos = Dialect::Atropos.routes().iter().chain(Dialect::Atropos.root_routes());
        let served = of_atropos.filter(|it| !matches!(it.path, "/docs" | "/openapi.json"));
        let method = |it: &crate::route::Route| format!("{:?}", it.verb).to_uppercase();
        let served: BTreeSet<_> = served.map(|it| (method(it), it.path.replace("{task}", "{task_id}"))).collect();
        assert_eq!(written, served);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut found = 0;
        for part in DOCUMENT.split("\"$ref\": \"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            found += 1;
        }
        assert!(found > 5);
    }

    #[test]
    fn the_page_shows_every_operation_and_escapes_what_it_shows() {
        let page = render();
        for part in ["POST /tasks", "GET /tasks/{task_id}/status", "DELETE /tasks/{task_id}", "include_deleted"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(text("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
