//! The shapes as JSON Schema (2020-12), for the OpenAPI document. They stand here, beside the readers and writers, and use
//! the same limits. Whether they tell the truth is checked by the router's tests: every answer is held against them.

mod audit;
mod bulk;
mod gate;
mod key;
mod lease;
mod log;
mod overview;
mod problem;
mod queue;
mod report;
mod schedule;
mod task;
mod value;
mod webhook;

use serde_json::{Map, Value};

/// Every schema by its name, to stand under `#/components/schemas`.
pub fn schemas() -> Map<String, Value> {
    let nouns = [
        value::schemas(),
        task::schemas(),
        lease::schemas(),
        log::schemas(),
        report::schemas(),
        queue::schemas(),
        gate::schemas(),
        key::schemas(),
        schedule::schemas(),
        webhook::schemas(),
        overview::schemas(),
        bulk::schemas(),
        audit::schemas(),
        problem::schemas(),
    ];
    nouns
        .into_iter()
        .filter_map(|noun| if let Value::Object(noun) = noun { Some(noun) } else { None })
        .flatten()
        .collect()
}

/// A reference to the schema of this name.
pub fn of(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A list of them.
fn list(name: &str) -> Value {
    serde_json::json!({ "type": "array", "items": of(name) })
}

/// A page of them.
fn page(name: &str) -> Value {
    let cursor =
        serde_json::json!({ "type": "string", "description": "Where the next page begins; absent at the end." });
    object(&["items"], [("items", list(name)), ("next_cursor", cursor)])
}

/// An object of these members.
fn object<const N: usize>(required: &[&str], members: [(&str, Value); N]) -> Value {
    let properties: Map<_, _> = members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut object = serde_json::json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// The same, as a request: other members are refused.
fn request<const N: usize>(required: &[&str], members: [(&str, Value); N]) -> Value {
    let mut object = object(required, members);
    object["additionalProperties"] = false.into();
    object
}

/// `schema` with a word about it.
fn about(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        fn look(value: &Value, all: &Map<String, Value>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(name)) = members.get("$ref") {
                        assert!(all.contains_key(name.trim_start_matches("#/components/schemas/")), "{name}");
                    }
                    members.values().for_each(|it| look(it, all));
                }
                Value::Array(items) => items.iter().for_each(|it| look(it, all)),
                _ => {}
            }
        }
        let all = schemas();
        all.values().for_each(|it| look(it, &all));
        for schema in all.values().filter(|it| it["type"] == "object" && it.get("properties").is_some()) {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(schema["properties"].get(name.as_str().unwrap_or_default()).is_some(), "{name} of {schema}");
            }
        }
    }
}
