//! Taking work: the request, its answer, and the opaque text that names a lease.

mod reply;
mod request;
mod text;

pub use reply::LeaseReply;
pub(crate) use reply::{read_ids, read_tasks, write_ids, write_tasks};
pub use request::{DEFAULT_LENGTH, LANES, LeaseRequest, TYPES, Want};
pub(crate) use request::{read_lanes, read_want};
pub use text::{LeaseText, decode, encode};
