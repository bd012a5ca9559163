//! Every route, called in process over the memory store, on tokio's paused clock.
#![allow(clippy::unwrap_used)]

mod atropos;
mod batch;
mod bodies;
mod cors;
mod edge;
mod faults;
mod gates;
mod hand;
mod keys;
mod leases;
mod notes;
mod overview;
mod queues;
mod reads;
mod schedules;
mod streams;
mod submit;
mod webhooks;
mod who_may;
mod world;
