//! Being asked to stop: the first signal drains, the second ends the process at once.

use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::exit;

/// The signals that ask the process to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system, from now on: a signal that comes before the server is up is not lost.
    ///
    /// # Errors
    /// The system refused.
    pub fn take() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends at the next signal, with its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Ends at the next signal, and says that the process ends once its work has; one more ends it at once.
    pub async fn asked_to_drain(mut self) {
        let name = self.next().await;
        tracing::info!("{name}: finishing what runs; once more stops at once");
        self.kill_on_next();
    }

    /// Ends the process at once at the next signal. The store is built to be killed, so nothing accepted is lost.
    pub fn kill_on_next(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!("{name} again: stopping at once; tasks that run here start anew when the server is back");
            process::exit(i32::from(exit::INTERRUPTED));
        });
    }
}
