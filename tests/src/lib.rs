//! Tests of the whole system stand in `stories/`, those that strike at it in `chaos/`; what both need is here. The Rust of
//! the pages for people is compiled here too, as doc tests.

#![allow(clippy::unwrap_used, reason = "only tests use it")]

pub mod harness;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/how-to/write-a-worker-in-rust.md")]
struct WorkerInRust;
