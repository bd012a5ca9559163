//! The JSON Schema of a configuration file, for editors.

use serde_json::{Map, Value, json};

use tasklane_core::limit;

use super::SECTIONS;
use super::setting::{Kind, Section, Setting};

/// The dialect the schema is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema.
pub fn schema() -> Value {
    let sections = SECTIONS.iter().map(|it| (it.name.to_owned(), of_section(it)));
    json!({
        "$schema": DIALECT,
        "title": "Tasklane",
        "description": "tasklane.toml, and every config/*.toml beside it",
        "type": "object",
        "additionalProperties": false,
        "properties": Value::Object(sections.collect()),
    })
}

fn of_section(section: &Section) -> Value {
    let mut table = table();
    table.insert("description".into(), section.doc.into());
    for setting in section.settings {
        let path: Vec<_> = setting.name().split('.').collect();
        insert(&mut table, &path, of_setting(setting));
    }
    Value::Object(table)
}

fn table() -> Map<String, Value> {
    let closed = [("type", json!("object")), ("additionalProperties", json!(false)), ("properties", json!({}))];
    closed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Puts a setting at its path below a table; `*` stands for any name.
fn insert(at: &mut Map<String, Value>, path: &[&str], setting: Value) {
    let [first, rest @ ..] = path else { return };
    let inner = match at.get_mut("properties") {
        Some(Value::Object(properties)) if *first != "*" => properties.entry(*first),
        _ => at.entry("additionalProperties"),
    };
    if rest.is_empty() {
        *inner.or_insert(Value::Null) = setting;
        return;
    }
    let inner = inner.or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(table());
    }
    if let Value::Object(inner) = inner {
        insert(inner, rest, setting);
    }
}

fn of_setting(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Weight => json!({ "type": "number", "minimum": limit::WEIGHT.start(), "maximum": limit::WEIGHT.end() }),
        Kind::Word(words) => {
            let upper = words.iter().map(|it| it.to_uppercase());
            json!({ "type": "string", "enum": words.iter().map(|it| (*it).to_owned()).chain(upper).collect::<Vec<_>>() })
        }
        Kind::List(most) => json!({ "type": "array", "items": { "type": "string" }, "maxItems": most }),
        Kind::Table => json!({ "type": "object" }),
        Kind::Secret => json!({ "type": "string", "writeOnly": true }),
        Kind::Address | Kind::Path | Kind::Text => json!({ "type": "string" }),
    };
    let more = if setting.more.is_empty() { String::new() } else { format!(" {}", setting.more) };
    schema["description"] = format!("{}.{more}", setting.doc).into();
    if let Some(default) = setting.default {
        schema["default"] = typed(setting.kind, default);
    }
    schema
}

fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Switch | Kind::Number(..) | Kind::Weight => text.parse().unwrap_or_else(|_| text.into()),
        Kind::List(_) => super::setting::items(text).map(Value::from).collect(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_setting_and_nothing_else() {
        let schema = schema();
        for setting in SECTIONS.iter().flat_map(|it| it.settings).filter(|it| !it.key.contains('*')) {
            let (section, name) = setting.key.split_once('.').unwrap_or_default();
            let found = &schema["properties"][section]["properties"][name];
            assert!(found["type"].is_string(), "{}: {found}", setting.key);
        }
        assert_eq!(schema["properties"]["http"]["additionalProperties"], false);
        assert_eq!(schema["properties"]["executors"]["properties"]["slots"]["default"], 64);
        assert_eq!(schema["properties"]["executors"]["properties"]["enabled"]["default"], true);
    }

    #[test]
    fn a_name_of_the_users_choice_is_any_property() {
        let mut at = table();
        insert(&mut at, &["http", "*", "url"], json!({ "type": "string" }));
        let at = Value::Object(at);
        assert_eq!(at["properties"]["http"]["additionalProperties"]["properties"]["url"]["type"], "string");
    }
}
