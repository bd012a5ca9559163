//! Everything that waits: gathers callers into commits, parks lease requests, wakes who waits, keeps house.

pub mod calls;
pub mod handle;

pub use calls::{HandCallError, LeaseCall, LeaseReply, ReportCall, ReportReply, SubmitError, Why, WhyReason, Wish};
pub use handle::Engine;
