//! Calls URLs that somebody set, whoever set them: an executor's target, a webhook, a provider's address.
//!
//! One client, one guard. A name is resolved here, every address is judged, and the connection is made to an address that
//! was judged, so that a name that changes its mind in between leads nowhere. Redirects are not followed, a proxy of the
//! environment is not used, and answers are read up to a limit.

mod guard;
mod send;

pub use guard::{Guard, GuardError};
pub use send::{Answer, BODY_TIMEOUT, Error, Excess, Outbound, Request};
