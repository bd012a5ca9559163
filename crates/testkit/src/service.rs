//! HTTP services that a type can be bound to: one that does what it is given, and one that holds its callers until it is
//! told to answer, and notes who called and who hung up.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a held call looks whether it may be answered.
const LOOK: Duration = Duration::from_millis(10);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnull";

/// A service on a free port of this machine; it ends when dropped.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Service {
    /// Starts it; `serve` has every connection, each on a thread of its own.
    pub fn start(serve: impl Fn(&TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (address, over) = (listener.local_addr().expect("an address"), Arc::<AtomicBool>::default());
        let (ended, serve) = (Arc::clone(&over), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(&stream));
            }
        });
        Self { address, over }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}/run", self.address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It waits for its answer.
    Waiting,
    /// It was answered.
    Answered,
    /// The caller hung up first.
    HungUp,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// Which task.
    pub task: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// How far it is.
    pub held: Held,
}

/// The service that holds its callers; it ends when dropped.
#[derive(Debug)]
pub struct HoldingService {
    service: Service,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    answers: AtomicBool,
    over: AtomicBool,
    calls: Mutex<Vec<ServiceCall>>,
}

impl HoldingService {
    /// Starts it; it holds every call.
    pub fn start() -> Self {
        let inner = Arc::<Inner>::default();
        let holding = Arc::clone(&inner);
        Self { service: Service::start(move |stream| holding.hold(stream)), inner }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// From now on every call is answered, those that are held too.
    pub fn answer(&self) {
        self.inner.answers.store(true, Ordering::Relaxed);
    }

    /// From now on new calls are held.
    pub fn hold(&self) {
        self.inner.answers.store(false, Ordering::Relaxed);
    }

    /// Every call so far, in the order they came.
    pub fn calls(&self) -> Vec<ServiceCall> {
        self.inner.calls().clone()
    }
}

impl Drop for HoldingService {
    fn drop(&mut self) {
        self.inner.over.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<ServiceCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, stream: &TcpStream) {
        let Some((task, attempt)) = read(stream) else { return };
        let place = {
            let mut calls = self.calls();
            calls.push(ServiceCall { task, attempt, held: Held::Waiting });
            calls.len() - 1
        };
        stream.set_read_timeout(Some(LOOK)).expect("a socket takes a timeout");
        let held = loop {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            if self.answers.load(Ordering::Relaxed) {
                let mut stream = stream;
                break if stream.write_all(ANSWER).is_ok() { Held::Answered } else { Held::HungUp };
            }
            match stream.peek(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break Held::HungUp,
            }
        };
        self.calls()[place].held = held;
    }
}

/// Reads a request; answers with its task and attempt. `None`: the caller is gone.
pub fn read(stream: &TcpStream) -> Option<(String, u32)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let header = |name: &str| Some(head.split_once(&format!("\r\n{name}: "))?.1.split_once('\r')?.0.to_owned());
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((header("idempotency-key")?, header("tasklane-attempt")?.parse().ok()?))
}
