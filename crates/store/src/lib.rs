//! Where tasks are kept: one verb a file, one folder a database.
//!
//! [`memory`] is the model, plain and obviously right; [`sqlite`] serves one machine, [`postgres`] many. All pass the one suite in
//! `tests/stores/conformance`. Nothing here knows HTTP or the engine.

pub mod clock;
pub mod memory;
pub mod postgres;
pub mod sqlite;

mod admission;
mod encoding;
mod filter;
mod gather;
mod log_page;

pub use gather::{COMMIT_BYTES, COMMIT_ITEMS};
