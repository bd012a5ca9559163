//! The service that a type is bound to: every call is an effect in the ledger, seen from outside the system.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tasklane_testkit::Ledger;

/// How long a call works, so that strikes meet running tasks.
const WORK: Duration = Duration::from_millis(15);

/// The service; it ends when dropped.
pub struct Target {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Target {
    /// Starts it; it writes `effect ID ATTEMPT`, works a little and answers with the attempt.
    pub fn start(ledger: Arc<Ledger>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, over) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || while serve(&stream, &ledger).is_some() {});
            }
        });
        Self { address, over }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}/run", self.address)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// One call; `None` when the caller is gone.
fn serve(stream: &TcpStream, ledger: &Ledger) -> Option<()> {
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
    let attempt = header("tasklane-attempt")?;
    ledger.write(&format!("effect {} {attempt}", header("idempotency-key")?));
    thread::sleep(WORK);
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", attempt.len());
    let mut stream = stream;
    stream.write_all(format!("{answer}{attempt}").as_bytes()).ok()
}
