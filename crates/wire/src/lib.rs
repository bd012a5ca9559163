//! The JSON of `/v1`: every shape once, with its reader and its writer side by side, for the server and for clients.
//!
//! Requests are validated whole by [`json::validate`], then read member by member, so that every wrong member is named
//! at once. Payloads and results stay slices of the body.

// What shapes are made of.
pub mod duration;
pub mod json;
pub mod name;
pub mod problem;
pub mod read;
pub mod schema;
pub mod time;

// The nouns.
pub mod audit;
pub mod bulk;
pub mod event;
pub mod gate;
pub mod key;
pub mod lease;
pub mod log;
pub mod overview;
pub mod page;
pub mod queue;
pub mod report;
pub mod schedule;
pub mod task;
pub mod webhook;
