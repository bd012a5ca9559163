//! The service that a type is bound to: every call is an effect in the ledger, seen from outside the system.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tasklane_testkit::Ledger;
use tasklane_testkit::service::{self, Service};

/// How long a call works, so that strikes meet running tasks.
const WORK: Duration = Duration::from_millis(15);

/// Starts it; it writes `effect ID ATTEMPT`, works a little and answers with the attempt.
pub fn start(ledger: Arc<Ledger>) -> Service {
    Service::start(move |stream| while serve(stream, &ledger).is_some() {})
}

/// One call; `None` when the caller is gone.
fn serve(mut stream: &TcpStream, ledger: &Ledger) -> Option<()> {
    let (task, attempt) = service::read(stream)?;
    ledger.write(&format!("effect {task} {attempt}"));
    thread::sleep(WORK);
    let body = attempt.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}
