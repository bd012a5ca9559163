//! Submit tasks to a Tasklane server from a Rust program, wait for their results, and work on them.
//!
//! ```no_run
//! # async fn example() -> Result<(), tasklane_client::Error> {
//! use std::time::Duration;
//! use tasklane_client::{Client, NewTask};
//!
//! let client = Client::from_env()?;
//! let task = client.submit(NewTask::new("word.count", &"to be or not to be")).await?;
//! let words: u64 = client.result(task.id, Duration::from_secs(30)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A worker is a few typed handlers:
//!
//! ```no_run
//! # async fn example() -> Result<(), tasklane_client::Error> {
//! use tasklane_client::{Client, TaskContext};
//!
//! let count = |_: TaskContext, text: String| async move { Ok(text.split_whitespace().count()) };
//! Client::from_env()?.worker().handle("word.count", count).run().await?;
//! # Ok(())
//! # }
//! ```

// How to reach a server, and what may go wrong.
mod client;
mod error;
mod transport;

// The nouns.
mod events;
mod follow;
mod gates;
mod keys;
mod new_task;
mod queues;
mod schedules;
mod submit;
mod tasks;
mod webhooks;

// Doing the work.
pub mod worker;

pub use client::{Client, ClientBuilder, DEFAULT_URL};
pub use error::Error;
pub use events::{Event, Events, LogLines};
pub use keys::NewKey;
pub use new_task::{NewTask, UniquePolicy};
pub use schedules::SetSchedule;
pub use submit::Submitted;
pub use tasklane_core::gate::GateName;
pub use tasklane_core::key::{KeyId, Scope as KeyScope};
pub use tasklane_core::log::Level;
pub use tasklane_core::outcome::FailureKind;
pub use tasklane_core::retry::Retry;
pub use tasklane_core::schedule::{CatchUp, Overlap, ScheduleId};
pub use tasklane_core::state::State;
pub use tasklane_core::task::TaskId;
pub use tasklane_core::webhook::endpoint::EndpointId as WebhookId;
pub use tasklane_core::webhook::signature::SignatureError;
pub use tasklane_wire::event::EventShape as Transition;
pub use tasklane_wire::gate::{GateShape as Gate, LimitsShape as Limits};
pub use tasklane_wire::key::KeyShape as Key;
pub use tasklane_wire::log::LineShape as LogLine;
pub use tasklane_wire::problem::Problem;
pub use tasklane_wire::queue::QueueShape as Queue;
pub use tasklane_wire::read::task_id;
pub use tasklane_wire::schedule::{RunShape as Run, ScheduleShape as Schedule, SlotShape as Slot};
pub use tasklane_wire::task::{AttemptShape as Attempt, FailureShape as Failure, Page, Task, Why};
pub use tasklane_wire::webhook::{DeliveryShape as Delivery, WebhookShape as Webhook};
pub use tasks::List;
pub use webhooks::{SetWebhook, verify_webhook};
pub use worker::{HandlerError, TaskContext, Worker};
