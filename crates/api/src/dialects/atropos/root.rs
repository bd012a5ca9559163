//! What it says about itself where it is alone.

use serde_json::json;
use tasklane_core::ports::store::TaskFilter;

use super::ORIGIN;
use crate::answer::{self, Answer};
use crate::call::Call;

/// GET `/`
pub(super) async fn root(_: Call) -> Answer {
    let about = json!({ "message": "Atropos Task Service is running", "version": "1.0.0", "docs": "/docs" });
    Ok(answer::ok(about.to_string()))
}

/// GET `/health`: 200 whatever is wrong; `database` says whether tasks can be read.
pub(super) async fn health(call: Call) -> Answer {
    let filter = TaskFilter { origin: Some(ORIGIN.into()), ..TaskFilter::default() };
    let database = if call.engine().list(filter, None, 1).await.is_ok() { "connected" } else { "error" };
    let workers = call.engine().live_workers();
    let health = json!({
        "status": "healthy",
        "database": database,
        "celery_workers": workers,
        "message": format!("API running with {workers} workers"),
    });
    Ok(answer::ok(health.to_string()))
}
