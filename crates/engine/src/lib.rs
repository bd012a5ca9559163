//! Everything that waits: parks lease requests, wakes who waits, moves what is due, keeps house.
//!
//! The modules stand in the order of the road; [`Engine`] is the only door in.

pub mod calls;
pub mod handle;
pub mod local;
pub mod options;
pub mod stream;

// The road, a file a station.
mod accept;
mod crashing;
mod due;
mod lease;
mod notes;
mod parked;
mod progress;
mod settle;

// Beside the road.
mod audit;
pub mod bulk;
mod cancels;
mod gate;
mod hand;
mod hints;
mod housekeeping;
pub mod keys;
mod mirror;
mod outage;
mod overview;
pub mod schedules;
mod seats;
mod sweep;
mod tick;
pub mod webhooks;
mod why;

// What the stations share.
mod commit;
mod facts;
mod gate_levels;
mod ids;
mod inside;
mod metrics;
mod requests;
mod wake;
mod watch;
mod workers;

pub use audit::AuditQuery;
pub use bulk::Bulks;
pub use calls::{
    Asker, HandCallError, LeaseCall, LeaseReply, Overview, RefusedCheckpoint, ReportCall, ReportReply, RerunError,
    StreamError, SubmitError, Submitted, TypeOverview, Why, WhyReason, Wish, WorkerOverview,
};
pub use handle::Engine;
pub use keys::{KeyCallError, KeyQuery, Keyed, NewKey};
pub use local::LocalSource;
pub use options::Options;
pub use schedules::{NewSchedule, Run, ScheduleChange, ScheduleError, ScheduleQuery, Scheduled};
pub use stream::{EventStream, Following, Said, TaskStream};
pub use webhooks::{DeliveryQuery, EndpointQuery, Hook, NewEndpoint, WebhookError};
