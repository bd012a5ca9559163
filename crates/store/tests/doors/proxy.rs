//! A wire that is cut at a commit: a payload says of its own connection when.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// In a payload: the next COMMIT of its connection does not arrive.
pub const LOSE_THE_COMMIT: &str = "lose-the-commit";
/// In a payload: the next COMMIT of its connection is carried out, and its answer does not arrive.
pub const LOSE_THE_ANSWER: &str = "lose-the-answer";

/// COMMIT as a query, and as the tag of a command that is complete.
const ASKED: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
const DONE: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// A wire to a port of this machine. Its threads end with their connections.
pub struct Proxy {
    port: u16,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                join(&client, &server, &counted);
            }
        });
        Self { port: own, cuts }
    }

    /// A URL by which `postgres` goes this way.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// How often it was cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn join(client: &TcpStream, server: &TcpStream, cuts: &Arc<AtomicUsize>) {
    let armed = Arc::new(AtomicBool::new(false));
    let arm = Arc::clone(&armed);
    let mut doomed = false;
    carry(client, server, cuts, move |bytes| {
        doomed |= has(bytes, LOSE_THE_COMMIT.as_bytes());
        arm.fetch_or(has(bytes, LOSE_THE_ANSWER.as_bytes()), Ordering::SeqCst);
        doomed && has(bytes, ASKED)
    });
    carry(server, client, cuts, move |bytes| armed.load(Ordering::SeqCst) && has(bytes, DONE));
}

/// Carries what comes until `is_last` says that something shall not arrive.
fn carry(
    from: &TcpStream,
    to: &TcpStream,
    cuts: &Arc<AtomicUsize>,
    mut is_last: impl FnMut(&[u8]) -> bool + Send + 'static,
) {
    let (mut from, mut to, cuts) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(cuts));
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if is_last(&bytes[..read]) {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|it| it == wanted)
}
