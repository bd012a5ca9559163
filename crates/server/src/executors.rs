//! The executors of a server and of `tasklane worker`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::ports::executor::Executor;
use tasklane_executors::builtin::Builtin;
use tasklane_executors::http::{HttpTargets, Target};
use tasklane_outbound::{Guard, Outbound};

use crate::error::StartError;

/// All there are: the types that are bound to URLs, which `guard` lets through or not, and the builtin ones. A URL comes
/// before a builtin type of the same name.
///
/// # Errors
/// A type is bound to a URL that may not be called.
pub fn all(targets: &BTreeMap<Box<str>, Target>, guard: &Guard) -> Result<Vec<Arc<dyn Executor>>, StartError> {
    let mut executors: Vec<Arc<dyn Executor>> = Vec::new();
    if !targets.is_empty() {
        let refused = |task_type, why| StartError::Target { task_type, why };
        let outbound = Outbound::new(guard.clone());
        let targets =
            HttpTargets::new(targets.clone(), outbound).map_err(|(task_type, why)| refused(task_type, why))?;
        executors.push(Arc::new(targets));
    }
    executors.push(Arc::new(Builtin));
    Ok(executors)
}
