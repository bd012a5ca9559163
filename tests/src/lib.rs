//! Tests of the whole system stand in `stories/`. Here the Rust of the pages for people is compiled, as doc tests.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/how-to/write-a-worker-in-rust.md")]
struct WorkerInRust;
