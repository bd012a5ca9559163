//! `data_processing`: pretends to process records into a file.

use serde::Serialize;
use serde_json::Number;

use super::pace::Work;
use super::parameters::Parameters;

#[derive(Serialize)]
struct Processed {
    processed_records: u64,
    processing_time: Number,
    output_file: String,
}

pub(super) fn plan(parameters: &Parameters, digits: &str) -> Result<Work, String> {
    let time = parameters.seconds("processing_time", 10, 1.0)?;
    let processed_records = parameters.count("record_count", 1000)?;
    let output_file = format!("processed_data_{digits}.csv");
    Ok(Work::new(time.length, move || Processed { processed_records, processing_time: time.number, output_file }))
}
