//! `/v1/queues`

mod control;
mod get;
mod list;
mod purge;
mod put;
mod verdict;

pub(crate) use control::{drain, pause, resume};
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use purge::purge;
pub(crate) use put::put;
