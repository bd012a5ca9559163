//! The native interface: a folder a noun, a file a verb.

pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod gates;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod queues;
pub(crate) mod reports;
pub(crate) mod schedules;
pub(crate) mod stats;
pub(crate) mod tasks;
pub(crate) mod types;
pub(crate) mod webhooks;
pub(crate) mod workers;
