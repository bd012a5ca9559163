//! What a task is and what becomes of it.
//!
//! This crate only decides. It is pure: time and randomness are arguments, nothing here waits, reads a clock, speaks SQL
//! or HTTP. The modules stand in the order of the road a task takes.

// Words everything else is written in.
pub mod error;
pub mod limit;
pub mod state;
pub mod task;
pub mod time;

// The road: accept → promote → lease → run → settle; beside it: rescue, hand, bulk, retention.
pub mod accept;
pub mod bulk;
pub mod checkpoint;
pub mod decision;
pub mod event;
pub mod fair;
pub mod gate;
pub mod hand;
pub mod lease;
pub mod log;
pub mod outcome;
pub mod promote;
pub mod quarantine;
pub mod queue;
pub mod rescue;
pub mod retention;
pub mod retry;
pub mod settle;

// Beside the road: what people set up.
pub mod audit;
pub mod key;
pub mod record;
pub mod schedule;
pub mod webhook;

// For the tests of tests.
pub mod sabotage;

// What the deciding part asks of the rest of the world.
pub mod ports;
