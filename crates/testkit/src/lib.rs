//! What only tests need: a server process to strike at, a plain HTTP client that can misbehave, a ledger outside the
//! system, and stories that say how long they took. Failures panic: there is a test around every caller.

pub mod binary;
pub mod clock;
pub mod http;
pub mod ledger;
pub mod port;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod server;
pub mod service;
pub mod story;
pub mod worker;

pub use clock::ManualClock;
pub use http::{Connection, Reply};
pub use ledger::Ledger;
pub use process::Signal;
pub use receiver::{Manner, Receiver};
pub use server::{Server, ServerOptions};
pub use worker::WorkerProcess;
