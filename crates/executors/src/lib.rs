//! The code that does the work of one kind of task, behind core's executor port.

pub mod builtin;
pub mod http;
