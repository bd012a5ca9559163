//! `tasklane db promote`: from files to a database.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tasklane_server::config::flags::Flags;
use tasklane_server::config::store::{DATABASE_URL, Database};
use tasklane_server::data::{self, Progress, Promoted, Replace};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};

/// How often people are told how far it is.
const TELL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The empty database [default: that of TASKLANE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Begin with this store although another promotion into the database was cut off before its last word
    #[arg(long)]
    replace: bool,
    /// Serve from the files again, as they were when they were promoted; the database stays as it is
    #[arg(long, conflicts_with_all = ["to", "replace"])]
    undo: bool,
}

impl Promote {
    /// What was said, with `--to` as the database.
    pub(crate) fn flags(&self, flags: Flags) -> Flags {
        match &self.to {
            Some(url) => flags.with(&DATABASE_URL, url),
            None => flags,
        }
    }

    pub(crate) fn run(self, dir: &Path, to: Option<&Database>, output: &Output) -> Result<Exit, Failure> {
        if self.undo {
            return undo(dir, output);
        }
        let missing = || {
            Failure::usage("no database is named")
                .remedy("name an empty one with --to postgres://USER@HOST/DATABASE or TASKLANE_DATABASE_URL")
        };
        let to = to.ok_or_else(missing)?;
        let replace = if self.replace { Replace::Incomplete } else { Replace::No };
        let (began, mut told) = (Instant::now(), None);
        let promoted = data::promote(dir, to, replace, |progress| {
            if told.is_none_or(|told: Instant| told.elapsed() >= TELL) || progress == Progress::Verifying {
                told = Some(Instant::now());
                output.note(Tone::Dim, &line(progress));
            }
        })?;
        if !output.is_for_people() {
            output.document(document(&promoted, &to.schema, began.elapsed()).to_string().as_bytes())?;
        }
        let place = format!("schema {} of the database", to.schema);
        let done = if promoted.resumed {
            format!("{} had been copied and verified; {place} is the true store now", dir.display())
        } else {
            format!(
                "{} tasks of {} are in {place}, verified, after {:.1} s",
                promoted.tasks,
                dir.display(),
                began.elapsed().as_secs_f64()
            )
        };
        output.note(Tone::Good, &done);
        output.note(
            Tone::Dim,
            "start the server with TASKLANE_DATABASE_URL naming it; the files are refused from now on",
        );
        Ok(Exit::Ok)
    }
}

fn undo(dir: &Path, output: &Output) -> Result<Exit, Failure> {
    let was = data::undo_promotion(dir)?;
    if !output.is_for_people() {
        output.document(json!({ "undone": was }).to_string().as_bytes())?;
    }
    let said = if was { "can be served from again, as it was then" } else { "was not promoted" };
    output.note(Tone::Good, &format!("{} {said}", dir.display()));
    Ok(Exit::Ok)
}

fn line(progress: Progress) -> String {
    match progress {
        Progress::Tasks(done, all) => format!("copied {done} of {all} tasks"),
        Progress::Rest(rows) => format!("copied {rows} attempts, logs, checkpoints and keys"),
        Progress::Verifying => "reading everything back".to_owned(),
    }
}

fn document(promoted: &Promoted, schema: &str, took: Duration) -> Value {
    json!({
        "schema": schema,
        "tasks": promoted.tasks,
        "attempts": promoted.attempts,
        "log_chunks": promoted.logs,
        "checkpoints": promoted.checkpoints,
        "keys": promoted.keys,
        "resumed": promoted.resumed,
        "seconds": took.as_secs_f64(),
    })
}
