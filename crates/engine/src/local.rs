//! Leases for a runner in the same process, without HTTP.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::lease::{Home, LaneFilter};
use tasklane_core::ports::BoxFuture;
use tasklane_runner::{LeaseSource, Reply, Report, SourceError, Want};

use crate::calls::{RefusedCheckpoint, ReportCall, Wish};
use crate::handle::Engine;

/// The engine as a runner's lease source.
pub struct LocalSource {
    engine: Engine,
    worker: Arc<str>,
    lanes: Arc<[LaneFilter]>,
    length: Duration,
}

impl LocalSource {
    /// For a worker of this name that serves `lanes` with leases of `length`.
    pub fn new(engine: Engine, worker: &str, lanes: Vec<LaneFilter>, length: Duration) -> Self {
        Self { engine, worker: worker.into(), lanes: lanes.into(), length }
    }

    fn wish(&self, want: Want) -> Wish {
        let lanes = Arc::clone(&self.lanes);
        Wish { lanes, limit: want.limit, length: self.length, wait: want.wait, request: None, home: Home::InServer }
    }
}

impl LeaseSource for LocalSource {
    fn exchange(&self, report: Report) -> BoxFuture<'_, Result<Reply, SourceError>> {
        Box::pin(async move {
            let call = ReportCall {
                worker: Arc::clone(&self.worker),
                renew: report.renew,
                progress: report.progress,
                logs: report.logs,
                checkpoints: report.checkpoints,
                outcomes: report.outcomes,
                want: report.want.map(|want| self.wish(want)),
            };
            let reply =
                self.engine.report(call).await.map_err(|error: StoreError| SourceError::Away(error.to_string()))?;
            let refused = reply.refused.into_iter().map(|it| (it.id, refusal(&it))).collect();
            Ok(Reply { lost: reply.lost, cancel: reply.cancel, tasks: reply.tasks, refused })
        })
    }
}

fn refusal(refused: &RefusedCheckpoint) -> String {
    format!("checkpoint {:?} was not kept: {}", refused.name, refused.reason())
}
