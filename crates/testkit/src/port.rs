//! Ports of this machine that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

// Below the range from which the system draws ports for outgoing connections: a server that is killed and started again
// on its port must not find a client of another story there.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

// The ports after one that was answered are kept free: a story may have a server take the next.
const APART: u16 = 4;

/// A port of 127.0.0.1 that nobody listens on. Two calls never answer the same one, nor its neighbour.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (offset + NEXT.fetch_add(APART, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port between {FIRST} and {} is free", FIRST + COUNT);
}
