//! A worker: the real runner in a process of its own, its leases carried by the faulty net.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::{Home, LaneFilter, TypeFilter};
use tasklane_core::ports::BoxFuture;
use tasklane_engine::{LeaseCall, ReportCall, Wish};
use tasklane_runner::{LeaseSource, Options, Reply, Report, Runner, RunnerHandle, SourceError, Want};
use tokio::sync::oneshot;

use crate::ground::{Ground, lock};
use crate::handler::Handler;
use crate::net::{Answer, Call, Gone, Parcel, Parting, Request};
use crate::process::Process;

/// A worker that runs.
pub struct Worker {
    /// Its process.
    pub process: Process,
    /// Its calls and answers all get lost.
    pub cut: Arc<AtomicBool>,
    runner: Option<RunnerHandle>,
    slots: usize,
}

impl Worker {
    /// Starts a worker of this name that may call so many servers.
    pub fn start(name: &str, servers: usize, ground: &Arc<Ground>) -> Self {
        let (process, dice, cut) = (Process::new(), &ground.dice, Arc::default());
        let lease = dice.millis(2_000, 8_000);
        let options = Options {
            slots: 1 + dice.below(5) as usize,
            exchanges: 2 + dice.below(2) as usize,
            hands: 1,
            lease,
            wait: Duration::from_secs(10),
            stop_grace: Duration::from_secs(1),
            exchange_timeout: Duration::from_secs(2),
            seed: Some(dice.bits()),
            ..Options::default()
        };
        let slots = options.slots;
        let link = Link {
            ground: Arc::clone(ground),
            servers,
            worker: name.into(),
            lanes: [LaneFilter { queue: None, types: TypeFilter::Any }].into(),
            lease,
            cut: Arc::clone(&cut),
            names: dice.chance(700).then(Mutex::default),
            wishes: AtomicU64::new(dice.bits() >> 32),
        };
        let handler = Handler::new(ground, name);
        let _in_it = process.enter();
        let runner = Runner::start(Arc::new(link), vec![Arc::new(handler)], options);
        drop(_in_it);
        Self { process, cut, runner: Some(runner), slots }
    }

    /// Whether it could take one more task.
    pub fn has_room(&self) -> bool {
        !self.process.is_frozen() && self.runner.as_ref().is_some_and(|it| it.held() < self.slots)
    }

    /// Ends in order; answers once it has.
    pub fn drain(&mut self, grace: Duration, drained: impl FnOnce() + Send + 'static) {
        if let Some(runner) = self.runner.take() {
            self.process.spawn(async move {
                runner.drain(grace).await;
                drained();
            });
        }
    }
}

/// A lease source whose calls fly over the net.
struct Link {
    ground: Arc<Ground>,
    servers: usize,
    worker: Arc<str>,
    lanes: Arc<[LaneFilter]>,
    lease: Duration,
    cut: Arc<AtomicBool>,
    /// Names of wishes whose answer was never heard, as workers over HTTP keep them; `None`: it names no wish.
    names: Option<Mutex<Vec<Box<str>>>>,
    wishes: AtomicU64,
}

impl Link {
    fn wish(&self, want: Want) -> Wish {
        let fresh = || format!("{}", self.wishes.fetch_add(1, Ordering::Relaxed)).into();
        let request = self.names.as_ref().map(|unheard| lock(unheard).pop().unwrap_or_else(fresh));
        let (lanes, home) = (Arc::clone(&self.lanes), Home::Apart);
        Wish { lanes, limit: want.limit, length: self.lease, wait: want.wait, request, home }
    }

    fn call(&self, report: Report, wish: Option<Wish>) -> Call {
        let worker = Arc::clone(&self.worker);
        let says_nothing = report.says_nothing();
        match wish {
            Some(wish) if says_nothing => Call::Lease(LeaseCall { worker, wish }),
            want => Call::Report(ReportCall {
                worker,
                renew: report.renew,
                progress: report.progress,
                logs: report.logs,
                checkpoints: report.checkpoints,
                outcomes: report.outcomes,
                want,
            }),
        }
    }

    async fn say(&self, report: Report) -> Result<Reply, SourceError> {
        let wish = report.want.map(|want| self.wish(want));
        let name = wish.as_ref().and_then(|it| it.request.clone());
        let mut unheard = Unheard { names: self.names.as_ref(), name };
        let (say, heard) = oneshot::channel();
        let (say, cut) = (Mutex::new(Some(say)), Arc::clone(&self.cut));
        let back = move |answer| {
            if let Some(say) = lock(&say).take_if(|_| !cut.load(Ordering::Relaxed)) {
                drop(say.send(answer));
            }
        };
        let call = self.call(report, wish);
        let server = self.ground.dice.below(self.servers as u64) as usize;
        let closing = Closing { ground: &self.ground, parting: self.ground.parting(), gone: Arc::default() };
        if !self.cut.load(Ordering::Relaxed) {
            self.ground.send(Request { server, call, back: Arc::new(back), gone: Arc::clone(&closing.gone) });
        }
        match heard.await {
            Ok(Answer::Exchange(answer)) => {
                if answer.is_ok() {
                    unheard.name = None;
                }
                answer
            }
            Ok(_) => Err(SourceError::Away("the connection broke".into())),
            // Cut off: nobody will ever answer, and the runner's patience ends this.
            Err(_) => std::future::pending().await,
        }
    }
}

impl LeaseSource for Link {
    fn exchange(&self, report: Report) -> BoxFuture<'_, Result<Reply, SourceError>> {
        Box::pin(self.say(report))
    }
}

/// The name of a wish; unless its answer is heard, it is used again.
struct Unheard<'l> {
    names: Option<&'l Mutex<Vec<Box<str>>>>,
    name: Option<Box<str>>,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let (Some(names), Some(name)) = (self.names, self.name.take()) {
            lock(names).push(name);
        }
    }
}

/// A connection; the server notices its end, or does not.
struct Closing<'l> {
    ground: &'l Ground,
    parting: Parting,
    gone: Arc<Gone>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.ground.part(&self.parting, Parcel::Gone(Arc::clone(&self.gone)));
    }
}
