//! `/v1/queues`

mod control;
mod get;
mod list;
mod verdict;

pub(crate) use control::{drain, pause, resume};
pub(crate) use get::get;
pub(crate) use list::list;
