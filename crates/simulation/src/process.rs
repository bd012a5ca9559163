//! A process is a runtime of its own with a clock of its own, stepped by hand. Dropped, it is killed: between any two
//! steps. Not stepped, it is frozen; afterwards all the time that passed meanwhile passes at once, as after SIGSTOP.

use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::task::yield_now;

/// One process.
pub struct Process {
    runtime: Runtime,
    behind: Duration,
    frozen: Duration,
}

impl Process {
    /// A process in which nothing runs yet.
    pub fn new() -> Self {
        // One task a turn: the finest steps there are.
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).event_interval(1).build();
        Self {
            runtime: runtime.expect("a runtime without sockets needs nothing of the system"),
            behind: Duration::ZERO,
            frozen: Duration::ZERO,
        }
    }

    /// What is spawned under the guard runs in this process.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Runs `work` in this process.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    /// Freezes it for as long.
    pub fn freeze(&mut self, time: Duration) {
        self.frozen = self.frozen.max(time);
    }

    /// Ends a freeze.
    pub fn thaw(&mut self) {
        self.frozen = Duration::ZERO;
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        !self.frozen.is_zero()
    }

    /// Lets time pass, and takes so many steps.
    pub fn run(&mut self, time: Duration, steps: u64) {
        self.behind += time;
        self.frozen = self.frozen.saturating_sub(time);
        if self.is_frozen() {
            return;
        }
        let passed = std::mem::take(&mut self.behind);
        self.runtime.block_on(async {
            if !passed.is_zero() {
                tokio::time::advance(passed).await;
            }
            // Never waits for anything else, so that the paused clock does not run on by itself.
            for _ in 0..steps {
                yield_now().await;
            }
        });
    }
}
