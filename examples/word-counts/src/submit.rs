//! The submitter's side: a task a file, then the results.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tasklane_client::{Client, NewTask, Submitted};

use crate::{Counts, TYPE, Text};

/// How long to wait for each result.
const PATIENCE: Duration = Duration::from_secs(60);

/// Submits every text of the directory together, waits for the results and prints them with their sums.
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
pub(crate) async fn submit(client: &Client, directory: &Path) -> Result<(), Box<dyn Error>> {
    let files = texts(directory)?;
    let tasks = files.iter().map(|file| new_task(file)).collect::<Result<Vec<_>, _>>()?;
    let submitted = client.submit_batch(tasks).await?;
    println!("{:<20} {:>6} {:>6} {:>9}  favourite", "file", "lines", "words", "distinct");
    let mut total = Counts::default();
    for (file, Submitted { id, .. }) in files.iter().zip(submitted) {
        let counts: Counts = client.result(id, PATIENCE).await?;
        println!("{}", row(&name(file), &counts));
        total.lines += counts.lines;
        total.words += counts.words;
        total.distinct += counts.distinct;
    }
    println!("{}", row(&format!("{} files", files.len()), &total));
    Ok(())
}

fn texts(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn new_task(file: &Path) -> Result<NewTask, Box<dyn Error>> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(NewTask::new(TYPE, &Text { name: name(file), text }).attempt_timeout(PATIENCE))
}

fn name(file: &Path) -> String {
    file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}

fn row(name: &str, counts: &Counts) -> String {
    let Counts { lines, words, distinct, favourite } = counts;
    format!("{name:<20} {lines:>6} {words:>6} {distinct:>9}  {favourite}").trim_end().to_owned()
}
