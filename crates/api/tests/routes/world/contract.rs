//! Holds every answer of every test against the OpenAPI document: its status is documented, its media type too, and its
//! JSON is of the schema, without members the schema does not name.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::Reply;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = tasklane_api::openapi::document();
    // A client must bear members it does not know; the server must not answer with any that the document does not name.
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.values_mut().for_each(seal);
    document
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

fn seal(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some() && members.get("additionalProperties").is_none() {
                members.insert("additionalProperties".into(), false.into());
            }
            members.values_mut().for_each(seal);
        }
        Value::Array(items) => items.iter_mut().for_each(seal),
        _ => {}
    }
}

/// The documented path a request goes to.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap().replace("%3A", ":").replace("%3a", ":");
    let method = if *method == Method::HEAD { "get".into() } else { method.as_str().to_lowercase() };
    let paths: &Map<String, Value> = DOCUMENT["paths"].as_object().unwrap();
    let fits = |pattern: &str| {
        let (wanted, action) = pattern.rsplit_once(':').map_or((pattern, None), |(path, action)| (path, Some(action)));
        let path = match action {
            Some(action) => path.strip_suffix(action)?.strip_suffix(':')?,
            None => &*path,
        };
        let (wanted, given): (Vec<_>, Vec<_>) = (wanted.split('/').collect(), path.split('/').collect());
        let same = |(wanted, given): (&&str, &&str)| wanted == given || (wanted.starts_with('{') && !given.is_empty());
        (wanted.len() == given.len() && wanted.iter().zip(&given).all(same)).then_some(())
    };
    // An action before a name that holds its colon, an exact path before a captured one.
    let mut found: Vec<_> =
        paths.iter().filter(|(pattern, item)| fits(pattern).is_some() && item.get(&method).is_some()).collect();
    found.sort_by_key(|(pattern, _)| (!pattern.contains(':'), pattern.contains('{')));
    found.first().map(|(_, item)| &item[&method])
}

/// Panics where an answer is not as the document says.
#[track_caller]
pub fn check(method: &Method, path: &str, reply: &Reply) {
    let Some(operation) = operation(method, path) else { return };
    let status = reply.status.as_u16();
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path} answered {status}, which is not documented: {}", reply.text());
    if *method == Method::HEAD {
        return;
    }
    let Some(content) = response.get("content") else { return assert_eq!(reply.text(), "", "{method} {path}") };
    let media_type = reply.header("content-type");
    let schema =
        content.get(media_type).unwrap_or_else(|| panic!("{method} {path} {status}: {media_type} is not documented"));
    if media_type.contains("json") {
        // Payloads may be deeper than this reader goes.
        let Ok(answer) = serde_json::from_slice(&reply.body) else { return };
        valid(&schema["schema"], &answer, &format!("{method} {path} {status}"));
    }
}

#[track_caller]
fn valid(schema: &Value, answer: &Value, what: &str) {
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        jsonschema::validator_for(&whole).unwrap()
    });
    let errors: Vec<_> = validator.iter_errors(answer).map(|it| format!("{} at {}", it, it.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:?} in {answer}");
}
