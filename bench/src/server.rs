//! The server under test: the release binary on a private port of loopback, started and stopped here.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::machine::{monotonic_ns, seconds_since};
use crate::place::Place;
use crate::settings::Settings;
use crate::{Failure, http};

/// How long a start or a stop may take before the measurement is given up.
const PATIENCE_SECONDS: f64 = 60.0;

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to the first 200 of `/ready`, in milliseconds.
    pub ready_ms: f64,
}

impl Server {
    /// Starts one whose tasks are kept in `place`, and waits until it is ready.
    pub fn start(settings: &Settings, place: &Place) -> Result<Self, Failure> {
        Self::start_nth(settings, place, 0)
    }

    /// Starts so many on one database.
    pub fn start_all(settings: &Settings, place: &Place, servers: usize) -> Result<Vec<Self>, Failure> {
        (0..servers).map(|nth| Self::start_nth(settings, place, nth)).collect()
    }

    fn start_nth(settings: &Settings, place: &Place, nth: usize) -> Result<Self, Failure> {
        let address = free_address()?;
        let log_path = place.dir().join(format!("server-{nth}.log"));
        let log = File::create(&log_path)?;
        let mut command = Command::new(&settings.binary);
        command.args(["serve", "--no-executors", "--listen", &address.to_string()]);
        command.arg("--data-dir").arg(place.data_of(nth));
        if let Some(url) = place.url() {
            command.args(["--database-url", url]);
        }
        // A setting of whoever runs the bench must not reach the server it measures.
        command.env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let began = monotonic_ns();
        let child = command.spawn().map_err(|error| format!("{}: {error}", settings.binary.display()))?;
        let mut server = Self { child, address, ready_ms: 0.0 };
        server.wait_ready(began).map_err(|failure| format!("{failure}; {}", tail(&log_path)))?;
        Ok(server)
    }

    fn wait_ready(&mut self, began: i64) -> Result<(), Failure> {
        while !is_ready(self.address) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if seconds_since(began) > PATIENCE_SECONDS {
                return Err("the server does not become ready".into());
            }
            sleep(Duration::from_millis(1));
        }
        self.ready_ms = seconds_since(began) * 1e3;
        Ok(())
    }

    /// What clients call.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits until it has; returns how many seconds that took.
    pub fn stop(mut self) -> Result<f64, Failure> {
        let began = monotonic_ns();
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        while self.child.try_wait()?.is_none() {
            if seconds_since(began) > PATIENCE_SECONDS {
                return Err("the server does not stop".into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(seconds_since(began))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port of loopback that was free a moment ago.
fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Whether `/ready` answers 200.
fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut status = [0; 12];
    let asked = stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(&http::request("GET", "/ready", "")).is_ok()
        && stream.read_exact(&mut status).is_ok();
    asked && status.ends_with(b"200")
}

/// The last words of a log.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
