//! A receiver of webhooks that hears everything and answers as it is told, well or badly.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time a story waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a byte comes of an answer that drips.
const DRIP: Duration = Duration::from_millis(200);

/// How a path is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// With this status.
    Status(u16),
    /// With this status and header.
    With(u16, &'static str, String),
    /// Not at all; the connection stays.
    Hang,
    /// A byte of the head now and then.
    Drip,
    /// With 200 and a body that does not end.
    Endless,
    /// The connection is broken.
    Reset,
}

/// What came.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to.
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Message {
    /// A header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

#[derive(Debug, Default)]
struct Heard {
    messages: Vec<Message>,
    manners: HashMap<String, Manner>,
}

/// The receiver. It ends with the process.
#[derive(Debug, Clone)]
pub struct Receiver {
    address: SocketAddr,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// Listens on loopback.
    pub fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// Listens there.
    pub fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("it listens");
        let receiver = Self { address, heard: Arc::default(), connections: Arc::default() };
        let here = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                here.connections.fetch_add(1, Ordering::SeqCst);
                let here = here.clone();
                thread::spawn(move || here.serve(stream));
            }
        });
        receiver
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// From now on this path is answered like this; others with 200.
    pub fn answer(&self, path: &str, manner: Manner) {
        self.lock().manners.insert(path.to_owned(), manner);
    }

    /// The tasks of which anything was told.
    pub fn told(&self) -> BTreeSet<String> {
        let heard = self.lock();
        let tasks = heard.messages.iter().filter_map(|it| it.json()["data"]["task"].as_str().map(str::to_owned));
        tasks.collect()
    }

    /// What came to a path so far.
    pub fn at_path(&self, path: &str) -> Vec<Message> {
        self.lock().messages.iter().filter(|it| it.path == path).cloned().collect()
    }

    /// What came to a path, once it is so much.
    #[track_caller]
    pub fn wait_for(&self, path: &str, count: usize) -> Vec<Message> {
        let (heard, bell) = &*self.heard;
        let (began, mut guard) = (Instant::now(), heard.lock().unwrap_or_else(PoisonError::into_inner));
        loop {
            let came: Vec<_> = guard.messages.iter().filter(|it| it.path == path).cloned().collect();
            if came.len() >= count {
                return came;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "{} of {count} messages came to {path}", came.len());
            guard = bell.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(mut message) = read_head(&mut reader) {
            let manner = self.lock().manners.get(&message.path).cloned().unwrap_or(Manner::Status(200));
            if manner != Manner::Reset && read_body(&mut reader, &mut message).is_none() {
                return;
            }
            self.lock().messages.push(message);
            self.heard.1.notify_all();
            if respond(reader.get_mut(), &manner).is_none() {
                return;
            }
        }
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> Option<Message> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Message { path, headers, body: Vec::new() })
}

fn read_body(reader: &mut BufReader<TcpStream>, message: &mut Message) -> Option<()> {
    let length = message.headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    message.body = vec![0; length];
    reader.read_exact(&mut message.body).ok()
}

/// `None`: the connection is over.
fn respond(stream: &mut TcpStream, manner: &Manner) -> Option<()> {
    match manner {
        Manner::Status(status) => whole(stream, *status, ""),
        Manner::With(status, name, value) => whole(stream, *status, &format!("{name}: {value}\r\n")),
        Manner::Hang => {
            // Ends with the connection.
            let _ = stream.read(&mut [0]);
            None
        }
        Manner::Drip => {
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
                stream.write_all(&[*byte]).ok()?;
                thread::sleep(DRIP);
            }
            None
        }
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n").ok()?;
            loop {
                stream.write_all(&[b'x'; 65536]).ok()?;
            }
        }
        // What is not read yet when a connection is closed has it reset.
        Manner::Reset => None,
    }
}

fn whole(stream: &mut TcpStream, status: u16, header: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: 5\r\n\r\nheard");
    stream.write_all(head.as_bytes()).ok().filter(|()| !header.starts_with("connection: close"))
}
