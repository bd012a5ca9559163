//! How likely which fault is: drawn anew for every run, so that some runs are all hints lost and others all clocks.

use crate::dice::Dice;

/// Chances of faults, per mille unless they say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// A call gets lost on its way, or its answer does.
    pub lost: u64,
    /// A call arrives twice.
    pub doubled: u64,
    /// A call or an answer takes seconds.
    pub late: u64,
    /// The store refuses a commit or a read.
    pub refused: u64,
    /// A commit happens and its answer does not come.
    pub unanswered: u64,
    /// A hint is lost.
    pub hint_lost: u64,
    /// A hint comes twice.
    pub hint_doubled: u64,
    /// The store cannot be reached at all.
    pub store_is_away: bool,
    /// Per mille and second: a server crashes.
    pub server_crashes: u64,
    /// Per mille and second: a server is restarted in order.
    pub server_restarts: u64,
    /// Per mille and second: a server freezes.
    pub server_freezes: u64,
    /// Per mille and second: a worker crashes.
    pub worker_crashes: u64,
    /// Per mille and second: a worker is restarted in order.
    pub worker_restarts: u64,
    /// Per mille and second: a worker freezes.
    pub worker_freezes: u64,
    /// Per mille and second: a worker's calls and answers all get lost for a while.
    pub worker_cuts: u64,
    /// Per mille and second: the store's clock jumps.
    pub clock_jumps: u64,
    /// Per mille and second: the store goes away for a while.
    pub outages: u64,
    /// Handlers fail, snooze, give back, take their time.
    pub handlers_fail: bool,
}

impl Weather {
    /// The storm of one run: each fault is absent, usual or frequent.
    pub fn of(dice: &Dice) -> Self {
        let draw = |usual: u64| usual * *dice.pick(&[0, 1, 1, 4]);
        Self {
            lost: draw(20),
            doubled: draw(20),
            late: draw(10),
            refused: draw(10),
            unanswered: draw(10),
            hint_lost: *dice.pick(&[0, 100, 500, 1000]),
            hint_doubled: draw(50),
            store_is_away: false,
            server_crashes: draw(40),
            server_restarts: draw(15),
            server_freezes: draw(30),
            worker_crashes: draw(40),
            worker_restarts: draw(20),
            worker_freezes: draw(40),
            worker_cuts: draw(20),
            clock_jumps: draw(20),
            outages: draw(20),
            handlers_fail: true,
        }
    }

    /// No faults.
    pub fn calm() -> Self {
        Self::default()
    }
}
