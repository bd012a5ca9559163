//! `chaos-table`: writes what the fault stories came to into the page of promises, between two marks.
//!
//! It reads `tests/chaos/results.jsonl`, the lines of the last whole run of `make chaos`.

use std::fs;
use std::process::ExitCode;

use tasklane_stories::harness::table::{PAGE, RESULTS, page_with};
use tasklane_testkit::binary::root;

fn main() -> ExitCode {
    let (page, results) = (root().join(PAGE), root().join(RESULTS));
    let told = |path: &std::path::Path| fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()));
    let written = told(&page).and_then(|text| page_with(&text, &told(&results)?));
    match written.and_then(|text| fs::write(&page, text).map_err(|why| format!("{}: {why}", page.display()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tasklane_stories::harness::say(&why);
            ExitCode::FAILURE
        }
    }
}
