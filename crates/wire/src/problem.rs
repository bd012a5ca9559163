//! Errors, per RFC 9457 (`application/problem+json`).

use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What a caller is told when a request was not done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// The path of the page about this code.
    #[serde(rename = "type")]
    pub page: String,
    /// What sort of problem it is, for people; the same for every problem of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, and what to do.
    pub detail: String,
    /// Stable, snake case; what programs go by.
    pub code: String,
    /// The request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What is wrong with which members of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The failure of the task whose result was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<crate::task::FailureShape>,
}

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where it is: a JSON pointer into the body (`/3/priority`), `?name` of the query, or `header:name`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}
