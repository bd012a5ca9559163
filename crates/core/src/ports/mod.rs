//! Ports: what the deciding part asks of the rest of the world, as object-safe traits.

use std::future::Future;
use std::pin::Pin;

pub mod clock;
pub mod endpoints;
pub mod executor;
pub mod records;
pub mod store;

/// A future behind an object-safe trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
