//! What the document says about a route beyond what the table of routes says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tasklane_wire::schema;

use crate::error::Code;
use crate::error::{
    BODY_TIMEOUT, DISK_FULL, FORBIDDEN, HOST_NOT_ALLOWED, INCOMPLETE_BODY, INTERNAL, INVALID, MALFORMED_JSON,
    METHOD_NOT_ALLOWED, ORIGIN_NOT_ALLOWED, PAYLOAD_TOO_LARGE, RATE_LIMITED, STORE_AWAY, STORE_DAMAGED, TOO_BUSY,
    TOO_MANY_BAD_KEYS, TOO_MANY_CALLS, UNAUTHORIZED, UNSUPPORTED_MEDIA_TYPE,
};
use crate::route::Verb;

/// What the document says about a route.
pub(crate) struct Operation {
    pub verb: Verb,
    pub path: &'static str,
    /// In a line.
    pub summary: &'static str,
    pub query: &'static [Parameter],
    pub body: Body,
    /// Statuses of success, each with what it carries.
    pub answers: &'static [(u16, Content)],
    /// Problems besides those that every such route has.
    pub problems: &'static [Code],
}

/// A parameter of the query.
pub(crate) struct Parameter {
    pub name: &'static str,
    pub schema: Kind,
    pub about: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A schema of this name.
    Named(&'static str),
    /// Text of the caller's.
    Text,
    /// A whole number from 1 to this.
    Count(usize),
    /// One of these words.
    Words(&'static [&'static str]),
}

/// What a request carries.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// The same, or a value a line.
    JsonOrLines(&'static str),
    /// JSON of this schema, or nothing.
    Optional(&'static str),
    /// An empty object, or nothing.
    Empty,
}

/// What an answer carries.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema, or server-sent events.
    JsonOrEvents(&'static str),
    /// Server-sent events.
    Events,
    /// Something of this media type.
    Other(&'static str),
    /// Scripts and styles.
    Assets,
}

/// Problems of every route.
const OF_ALL: [Code; 3] = [HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED, METHOD_NOT_ALLOWED];
/// Problems of every route that reads or writes the store.
const OF_STORE: [Code; 4] = [INTERNAL, STORE_DAMAGED, STORE_AWAY, INVALID];
/// The route of the service that a setting closes.
const METRICS: &str = "/metrics";
/// Problems of every route that may need a key.
const OF_KEYS: [Code; 5] = [UNAUTHORIZED, FORBIDDEN, RATE_LIMITED, TOO_MANY_BAD_KEYS, TOO_MANY_CALLS];
/// Problems of every route that writes.
const OF_WRITES: [Code; 1] = [DISK_FULL];
/// Problems of every route that reads a body.
const OF_BODIES: [Code; 6] =
    [MALFORMED_JSON, INCOMPLETE_BODY, BODY_TIMEOUT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, TOO_BUSY];

impl Operation {
    /// The operation object (OpenAPI 3.1, 4.8.10).
    pub fn object(&self) -> Value {
        let mut object = json!({
            "summary": self.summary,
            "operationId": self.id(),
            "tags": [self.tag()],
            "responses": self.responses(),
        });
        let parameters: Vec<Value> = self.captured().chain(self.query.iter().map(Parameter::object)).collect();
        if !parameters.is_empty() {
            object["parameters"] = parameters.into();
        }
        if let Some(body) = self.request_body() {
            object["requestBody"] = body;
        }
        object
    }

    /// Its name for generated clients: the verb's method and the words of the path.
    fn id(&self) -> String {
        let words = self.path.trim_start_matches("/v1/").split(['/', ':', '.']);
        let words = words.map(|it| it.trim_matches(['{', '}'])).filter(|it| !it.is_empty());
        std::iter::once(self.verb.method()).chain(words).collect::<Vec<_>>().join("_")
    }

    fn tag(&self) -> &'static str {
        let Some(noun) = self.path.strip_prefix("/v1/") else { return "service" };
        noun.split(['/', ':']).next().unwrap_or(noun)
    }

    fn captured(&self) -> impl Iterator<Item = Value> {
        let names = self.path.split('{').skip(1).filter_map(|it| Some(it.split_once('}')?.0));
        names.map(parameter_of_path)
    }

    fn request_body(&self) -> Option<Value> {
        let (name, required) = match self.body {
            Body::None => return None,
            Body::Json(name) | Body::JsonOrLines(name) => (name, true),
            Body::Optional(name) => (name, false),
            Body::Empty => ("Nothing", false),
        };
        let mut content = json!({ "application/json": { "schema": schema::of(name) } });
        if matches!(self.body, Body::JsonOrLines(_)) {
            content["application/x-ndjson"] = json!({ "schema": { "type": "string" } });
        }
        Some(json!({ "required": required, "content": content }))
    }

    fn responses(&self) -> Value {
        let mut responses = Map::new();
        for (status, content) in self.answers {
            responses.insert(status.to_string(), content.response());
        }
        for (status, titles) in self.refusals() {
            responses.insert(status.to_string(), problem(&titles));
        }
        responses.into()
    }

    /// Statuses of problems, each with what it may mean.
    fn refusals(&self) -> BTreeMap<u16, Vec<Code>> {
        let mut refusals: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        let has_body = !matches!(self.body, Body::None);
        let parts: [(bool, &[Code]); 6] = [
            (true, &OF_ALL),
            (true, self.problems),
            (self.tag() != "service", &OF_STORE),
            (self.tag() != "service" && self.verb != Verb::Get, &OF_WRITES),
            (self.tag() != "service" || self.path == METRICS, &OF_KEYS),
            (has_body, &OF_BODIES),
        ];
        for (_, codes) in parts.iter().filter(|it| it.0) {
            for code in *codes {
                let known = refusals.entry(code.status).or_default();
                if !known.contains(code) {
                    known.push(*code);
                }
            }
        }
        refusals
    }
}

fn parameter_of_path(name: &str) -> Value {
    let schema = match name {
        "task" | "delivery" => schema::of("TaskId"),
        "key" => schema::of("KeyId"),
        "schedule" => schema::of("ScheduleId"),
        "webhook" => schema::of("WebhookId"),
        "type" => schema::of("TypeName"),
        _ => schema::of("Name"),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

impl Parameter {
    fn object(&self) -> Value {
        let schema = match self.schema {
            Kind::Named(name) => schema::of(name),
            Kind::Text => json!({ "type": "string", "minLength": 1 }),
            Kind::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
            Kind::Words(words) => json!({ "type": "string", "enum": words }),
        };
        json!({ "name": self.name, "in": "query", "description": self.about, "schema": schema })
    }
}

impl Content {
    fn response(self) -> Value {
        match self {
            Self::Nothing => json!({ "description": "Nothing to say." }),
            Self::Json(name) => {
                json!({ "description": name, "content": { "application/json": { "schema": schema::of(name) } } })
            }
            Self::JsonOrEvents(name) => {
                let content = json!({ "application/json": { "schema": schema::of(name) }, EVENT_STREAM: stream() });
                json!({ "description": format!("{name}, or its lines as they come."), "content": content })
            }
            Self::Events => {
                let about = "Server-sent events; the data of `task.*` is an `Event`.";
                json!({ "description": about, "content": { EVENT_STREAM: stream() } })
            }
            Self::Assets => {
                let text = json!({ "schema": { "type": "string" } });
                let content = json!({ "text/javascript; charset=utf-8": text, "text/css; charset=utf-8": text });
                json!({ "description": "A script or a style.", "content": content })
            }
            Self::Other(media_type) => {
                let content = json!({ media_type: { "schema": { "type": "string" } } });
                json!({ "description": media_type, "content": content })
            }
        }
    }
}

const EVENT_STREAM: &str = "text/event-stream";

/// A stream has no schema: JSON Schema describes a whole, and a stream has none.
fn stream() -> Value {
    json!({})
}

fn problem(codes: &[Code]) -> Value {
    let meanings: Vec<_> = codes.iter().map(|it| format!("`{}`: {}", it.code, it.title)).collect();
    let content = json!({ "application/problem+json": { "schema": schema::of("Problem") } });
    json!({ "description": meanings.join("; "), "content": content })
}
