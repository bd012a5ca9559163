//! The OpenAPI 3.1 document of `/v1`: paths from the table of routes, shapes from `wire`, the rest from
//! [`operations::OPERATIONS`].

pub(crate) mod operation;
pub(crate) mod operations;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tasklane_wire::schema;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::route::Access;
use crate::router::access_of;
use operations::OPERATIONS;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// GET `/openapi.json`
pub(crate) async fn openapi(call: Call) -> Answer {
    call.no_query()?;
    Ok(answer::ok(DOCUMENT.clone()))
}

/// What a key must be for this.
fn roles(access: Access) -> Option<Vec<&'static str>> {
    let everybody = access.is_of_everybody().then_some("all_tenants");
    access.scope().map(|it| [it.as_str()].into_iter().chain(everybody).collect())
}

/// The whole document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        let method = operation.verb.method();
        path[method] = operation.object();
        if let Some(roles) = access_of(operation.verb, operation.path).and_then(roles) {
            path[method]["security"] = json!([{ "bearer": roles }, { "header": roles }, {}]);
        }
    }
    let mut schemas = schema::schemas();
    let extra = json!({
        "Nothing": { "type": "object", "maxProperties": 0 },
        "Document": { "type": "object", "required": ["openapi"], "description": "OpenAPI 3.1." },
        "Search": { "type": "string", "minLength": 1, "maxLength": tasklane_wire::bulk::SEARCH_BYTES },
        "TaskOrAccepted": { "anyOf": [schema::of("Task"), schema::of("AcceptedTask")] },
    });
    if let Value::Object(extra) = extra {
        schemas.extend(extra);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tasklane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Tasks over HTTP: accepted, kept, handed to workers, watched. Times are RFC 3339 in UTC, \
                durations texts such as `90s`, errors problems with a stable `code`.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": {
            "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "A key. The roles of an operation are the scope that the key needs, and all_tenants where \
                    one of a tenant is not enough. A server without keys asks nobody.",
            },
            "header": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same." },
        } },
    })
}
