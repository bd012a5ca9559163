//! `default`: takes its time and says so; what a type that nobody serves becomes where it came by the Atropos interface.

use serde::Serialize;
use serde_json::Number;

use super::pace::Work;
use super::parameters::Parameters;

#[derive(Serialize)]
struct Completed {
    message: &'static str,
    processing_time: Number,
    /// When it was done, RFC 3339 UTC.
    timestamp: String,
}

pub(super) fn plan(parameters: &Parameters, _digits: &str) -> Result<Work, String> {
    let time = parameters.seconds("processing_time", 5, 1.0)?;
    Ok(Work::new(time.length, move || Completed {
        message: "Task completed successfully",
        processing_time: time.number,
        timestamp: jiff::Timestamp::now().to_string(),
    }))
}
