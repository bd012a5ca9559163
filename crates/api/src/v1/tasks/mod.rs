//! `/v1/tasks`

mod attempts;
mod batch;
mod bulk;
mod cancel;
mod delete;
mod get;
mod hand;
mod list;
mod rerun;
mod reschedule;
mod result;
mod retry;
mod submit;
mod trace;
mod wait;
mod why;

pub(crate) use attempts::attempts;
pub(crate) use batch::batch;
pub(crate) use bulk::bulk;
pub(crate) use cancel::cancel;
pub(crate) use delete::delete;
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use rerun::rerun;
pub(crate) use reschedule::reschedule;
pub(crate) use result::result;
pub(crate) use retry::retry;
pub(crate) use submit::submit;
pub(crate) use why::why;
