//! Beside the road: while every slot is taken, no wish for work waits at the source, and so nothing through which it could
//! say that a task is to be cancelled. A wish for nothing does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::attempt::Stop;
use crate::options::{LISTEN_LOOK, REST_MAX};
use crate::runner::Shared;
use crate::source::{Report, Want};

/// Listens for cancellations whenever nothing else does, for ever.
pub(crate) async fn listen(shared: Arc<Shared>) {
    let mut was_deaf = false;
    loop {
        sleep(LISTEN_LOOK).await;
        let is_deaf = shared.ledger().is_deaf();
        // Slots that are full for a moment only are those of a worker that reports all the time.
        if is_deaf && was_deaf {
            hear(&shared).await;
        }
        was_deaf = is_deaf;
    }
}

async fn hear(shared: &Shared) {
    let (sent, wait) = (Instant::now(), shared.options.wait);
    let report = Report { want: Some(Want { limit: 0, wait }), ..Report::default() };
    let exchange = timeout(shared.options.exchange_timeout + wait, shared.source.exchange(report));
    let reply = tokio::select! {
        biased;
        reply = exchange => reply,
        () = shared.drains() => return,
    };
    let told = match reply {
        Ok(Ok(reply)) => {
            let cancelled = shared.ledger().of_tasks(&reply.cancel);
            cancelled.iter().for_each(|attempt| attempt.tell(Stop::Cancelled));
            !reply.cancel.is_empty()
        }
        // The pumps say what goes wrong.
        Ok(Err(_)) | Err(_) => false,
    };
    if !told && sent.elapsed() < Duration::from_secs(1) {
        sleep(REST_MAX).await;
    }
}
