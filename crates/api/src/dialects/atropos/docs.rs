//! Its OpenAPI document. The pages `/docs` and `/redoc` are Tasklane's own, and show the document beside them.

use crate::answer::{self, Answer};
use crate::call::Call;

/// The document; a test walks it against the routes.
const DOCUMENT: &str = include_str!("openapi.json");

/// GET `/openapi.json`, and `/openapi/atropos.json` on Tasklane's own port.
pub(super) async fn openapi(_: Call) -> Answer {
    Ok(answer::ok(DOCUMENT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use serde_json::Value;

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
        let served = of_atropos.filter(|it| it.path != "/openapi.json");
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
}
