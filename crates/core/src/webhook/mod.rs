//! Webhooks: who is told of events by HTTP, what he is told, and how he knows that it is true.
//!
//! A delivery is a task of the queue [`QUEUE`]: accepted in the commit of the event ([`outbox`]), leased and retried like any
//! other. Its payload is the body that is sent, its id is the same over all attempts.

pub mod body;
pub mod endpoint;
pub mod event;
pub mod outbox;
pub mod secret;
pub mod signature;
pub mod timetable;

/// The queue of deliveries.
pub const QUEUE: &str = "~webhook";
/// Their type.
pub const TYPE: &str = "webhook";
/// The label of a delivery that says to which endpoint it goes.
pub const ENDPOINT_LABEL: &str = "webhook";
/// What that label says of a task's own callback.
pub const CALLBACK: &str = "callback";
/// The label of a delivery that says of what event it tells.
pub const EVENT_LABEL: &str = "event";
/// The label of a delivery that says of which task it tells.
pub const TASK_LABEL: &str = "task";
/// The label of a delivery that was sent once more: the id of the first one, which receivers know it by.
pub const MESSAGE_LABEL: &str = "message";
