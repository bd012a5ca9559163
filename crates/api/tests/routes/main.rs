//! Every route, called in process over the memory store, on tokio's paused clock.
#![allow(clippy::unwrap_used)]

mod batch;
mod bodies;
mod edge;
mod faults;
mod hand;
mod leases;
mod overview;
mod queues;
mod reads;
mod submit;
mod world;
