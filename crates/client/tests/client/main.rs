//! The client against a server that answers as each test says: what goes over the wire, and what errors become.
#![allow(clippy::unwrap_used)]

mod gates;
mod keys;
mod reads;
mod schedules;
mod servers;
mod stub;
mod submit;
mod work;
