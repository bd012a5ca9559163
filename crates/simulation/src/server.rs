//! A server: the real engine in a process of its own. It can crash at any step and begins anew over the same store.

use std::sync::Arc;

use tasklane_core::ports::store::{Hint, SharedStore};
use tasklane_engine::{Engine, LeaseReply, Options};
use tasklane_runner::{Reply, SourceError};
use tasklane_store::memory::MemoryStore;

use crate::ground::{Ground, lock};
use crate::net::{Answer, Back, Call, Parcel, Parting, Request};
use crate::process::Process;
use crate::shared::Port;

/// A server that runs.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Its engine.
    pub engine: Engine,
    port: Arc<Port>,
    ground: Arc<Ground>,
}

impl Server {
    /// Starts server number `number` of so many.
    pub fn start(number: usize, servers: usize, ground: &Arc<Ground>, store: &Arc<MemoryStore>) -> Self {
        let (process, port) = (Process::new(), Port::new(number, servers, ground, store));
        let dice = ground.dice.clone();
        let options = Options { randomness: Arc::new(move |bytes| dice.fill(bytes)), ..Options::default() };
        let engine = {
            let _in_it = process.enter();
            Engine::start(Arc::clone(&port) as SharedStore, options)
        };
        Self { process, engine, port, ground: Arc::clone(ground) }
    }

    /// A hint arrives.
    pub fn hear(&self, hint: Hint) {
        self.port.hear(hint);
    }

    /// A call arrives.
    pub fn take(&self, request: Request) {
        let (engine, ground) = (self.engine.clone(), Arc::clone(&self.ground));
        let Request { server: _, call, back, gone } = request;
        let mut owed = Owed { parting: ground.parting(), ground, back: Some(back) };
        self.process.spawn(async move {
            tokio::select! {
                biased;
                () = gone.closed() => drop(owed.back.take()),
                answer = answer(&engine, &owed.ground, call) => owed.pay(answer),
            }
        });
    }

    /// Ends in order; answers once it has.
    pub fn stop(&self, stopped: impl FnOnce() + Send + 'static) {
        let engine = self.engine.clone();
        self.process.spawn(async move {
            engine.stop().await;
            stopped();
        });
    }
}

/// An answer that somebody waits for: a server that crashes breaks the connection.
struct Owed {
    ground: Arc<Ground>,
    parting: Parting,
    back: Option<Back>,
}

impl Owed {
    fn pay(&mut self, answer: Answer) {
        if let Some(back) = self.back.take() {
            self.ground.answer(&back, answer);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            self.ground.part(&self.parting, Parcel::Answer(back, Answer::Away));
        }
    }
}

async fn answer(engine: &Engine, ground: &Ground, call: Call) -> Answer {
    let away = |error: tasklane_core::error::StoreError| SourceError::Away(error.to_string());
    match call {
        Call::Lease(call) => {
            let reply = engine.lease(call).await.map_err(away);
            let reply = reply.map(|LeaseReply { tasks, cancel }| Reply { tasks, cancel, ..Reply::default() });
            Answer::Exchange(reply)
        }
        Call::Report(call) => {
            let reply = engine.report(call).await.map_err(away);
            let refused = |it: &tasklane_engine::RefusedCheckpoint| (it.id, it.reason().to_owned());
            Answer::Exchange(reply.map(|it| Reply {
                refused: it.refused.iter().map(refused).collect(),
                lost: it.lost,
                cancel: it.cancel,
                tasks: it.tasks,
            }))
        }
        Call::Submit(mut submission) => {
            // As over HTTP: a task without an id of its caller's gets one here, at every try another.
            for task in submission.tasks.iter_mut().filter(|it| it.id.0.is_nil()) {
                task.id = engine.draw_id();
            }
            let answered = engine.submit(submission).await;
            if let Ok(accepted) = &answered {
                lock(&ground.ledger).answered(accepted);
            }
            Answer::Submit(answered)
        }
        Call::Hand(id, hand) => {
            let _moved_or_not = engine.hand(id, hand).await;
            Answer::Done
        }
        Call::Control(queue, state) => engine.control(&queue, state).await.map_or(Answer::Away, |_| Answer::Done),
        Call::Wait(id, time) => engine.wait(id, time).await.map_or(Answer::Away, |it| Answer::Wait(it.map(Box::new))),
    }
}
