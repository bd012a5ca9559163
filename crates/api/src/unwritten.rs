//! Leases on their way to a worker. A worker whose connection is found closed before the answer was written never learns
//! of them: they are released unspent instead of running out.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tasklane_core::lease::{LeaseKey, Leased};
use tasklane_engine::Engine;

/// Releases its leases when it is dropped before the answer was handed to the connection.
pub(crate) struct Unwritten {
    engine: Engine,
    keys: Vec<LeaseKey>,
}

impl Unwritten {
    /// Guards the leases of these tasks.
    pub fn new(engine: &Engine, tasks: &[Leased]) -> Self {
        Self { engine: engine.clone(), keys: tasks.iter().map(Leased::key).collect() }
    }

    /// A body that keeps the guard until the connection takes the bytes. The connection takes them when it writes, and
    /// what is lost after that (in buffers of the system, on the wire) nobody can see: those leases run out.
    pub fn body(mut self, bytes: Vec<u8>) -> Body {
        Body::new(Full::new(Bytes::from(bytes)).inspect_frame(move |_| self.keys.clear()))
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        // A runtime that is gone takes the process with it, and rescue finds the leases after the next start.
        if let (false, Ok(runtime)) = (keys.is_empty(), tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                if let Err(error) = engine.release(keys).await {
                    tracing::debug!(%error, "leases of a closed connection were not released; they run out");
                }
            });
        }
    }
}
