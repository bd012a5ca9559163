//! Four types for demonstration, one file each: they take as long as they are told and answer with something plausible.
//! Parameters are the members of the payload; unknown ones are ignored, a wrong one is a permanent failure.

mod data_processing;
mod default;
mod pace;
mod parameters;
mod report_generation;
mod video_processing;

use std::sync::Arc;

use tasklane_core::lease::{Leased, mix};
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};

use pace::Work;
use parameters::Parameters;

/// Runs the four demonstration types.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

/// From the parameters and eight hexadecimal digits for names of files to the work, or to what is wrong.
type Plan = fn(&Parameters, &str) -> Result<Work, String>;

/// Every type with its file.
const TYPES: [(&str, Plan); 4] = [
    ("data_processing", data_processing::plan),
    ("report_generation", report_generation::plan),
    ("video_processing", video_processing::plan),
    ("default", default::plan),
];

impl Executor for Builtin {
    fn types(&self) -> Vec<Box<str>> {
        TYPES.iter().map(|(name, _)| (*name).into()).collect()
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        match plan(&task) {
            Ok(work) => Box::pin(pace::walk(work, context)),
            Err(wrong) => Box::pin(std::future::ready(Outcome::failed(FailureKind::Permanent, wrong))),
        }
    }
}

fn plan(task: &Leased) -> Result<Work, String> {
    let task_type = &task.facts.lane.task_type;
    let (_, plan) = TYPES
        .iter()
        .find(|(name, _)| **name == **task_type)
        .ok_or_else(|| format!("the builtin executor has no type {task_type:?}"))?;
    plan(&Parameters::read(&task.payload)?, &digits(task))
}

/// Eight hexadecimal digits that every attempt of a task shares.
fn digits(task: &Leased) -> String {
    let (high, low) = task.facts.id.0.as_u64_pair();
    format!("{:08x}", mix(high, low) >> 32)
}
