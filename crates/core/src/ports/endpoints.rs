//! What the sink of webhooks asks about endpoints, and tells of them.

use std::sync::Arc;

use crate::ports::BoxFuture;
use crate::time::Timestamp;
use crate::webhook::endpoint::{Endpoint, EndpointId, Heard};

/// Knows endpoints.
pub trait Endpoints: Send + Sync + 'static {
    /// One; `None`: it was removed.
    fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>>;

    /// It took a delivery like this: one that fails gets less, and in the end nothing.
    fn heard(&self, id: EndpointId, heard: Heard) -> BoxFuture<'static, ()>;

    /// The moment, by which signatures are dated.
    fn now(&self) -> Timestamp;
}
