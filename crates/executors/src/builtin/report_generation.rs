//! `report_generation`: pretends to write a report.

use serde::Serialize;
use serde_json::Number;

use super::pace::Work;
use super::parameters::Parameters;

#[derive(Serialize)]
struct Report {
    report_type: String,
    pages: u64,
    generation_time: Number,
    report_url: String,
}

pub(super) fn plan(parameters: &Parameters, digits: &str) -> Result<Work, String> {
    let time = parameters.seconds("processing_time", 15, 1.0)?;
    let report_type = parameters.text("report_type", "monthly")?;
    let pages = parameters.count("pages", 25)?;
    let report_url = format!("https://reports.example.com/{digits}.pdf");
    Ok(Work::new(time.length, move || Report { report_type, pages, generation_time: time.number, report_url }))
}
