//! Where tasks are kept: one verb a file, one folder a database.
//!
//! [`memory`] is the model, plain and obviously right; [`sqlite`] is what serves. Both pass the one suite in
//! `tests/conformance`. Nothing here knows HTTP or the engine.

pub mod clock;
pub mod memory;
pub mod sqlite;

mod admission;
mod filter;
mod log_page;
