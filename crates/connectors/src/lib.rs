//! Doors to other systems: a source brings tasks in, a sink carries results out.

pub mod webhook;
