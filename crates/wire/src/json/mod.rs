//! JSON as bytes: the one validator, a walker over what it passed, and a writer.
//!
//! A body is validated once, whole. After that nothing re-parses a payload or a result: they stay slices of the body.

mod scan;
mod validate;
mod value;
mod write;

pub use validate::{DEPTH, JsonError, Reason, validate, validate_lines};
pub use value::{Items, Kind, Members, Value};
pub use write::{Array, Object, id, integer, number, string};
