//! One run of a fault story, and the line that it leaves.
//!
//! Its short form is part of `make test`, its long form of `make chaos`: `TASKLANE_CHAOS=long`. `TASKLANE_CHAOS_SEED` repeats
//! its choices. Where `TASKLANE_CHAOS_RESULTS` names a file, each run that ends appends one line of JSON to it
//! ([`Line`]); `TASKLANE_CHAOS_COMMIT` and `TASKLANE_CHAOS_DATE` are put into it as they are.

use std::collections::BTreeMap;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tasklane_testkit::story::{LIMIT, story_within};

use super::checker::Figures;
use super::choices::Choices;
use super::ground::Store;
use super::{say, setting};

/// In its short form a story runs beside whatever else a machine does: a promised time is then allowed so many times over.
const LENIENCE: u32 = 3;

/// A story in its long form takes no longer, unless it hangs.
const LONGEST: Duration = Duration::from_secs(2390);

/// How long a story is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Under half a minute.
    Short,
    /// As often and as long as the promise says.
    Long,
}

impl Form {
    /// The one that is asked for.
    pub fn asked() -> Self {
        if env::var("TASKLANE_CHAOS").is_ok_and(|it| it == "long") { Self::Long } else { Self::Short }
    }

    /// One for each form.
    pub fn of<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What a run came to, as results keep it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The test's whole name.
    pub story: String,
    /// `sqlite` or `postgres`.
    pub store: String,
    /// `short` or `long`.
    pub form: String,
    /// Repeats its choices.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// How often its scene was set up.
    pub runs: u64,
    /// How often it struck.
    pub faults: u64,
    /// Tasks that were acknowledged.
    pub acked: usize,
    /// Tasks that succeeded.
    pub succeeded: usize,
    /// Acknowledged tasks that were gone or ended otherwise than they should.
    pub lost: usize,
    /// Tasks of which more than one completion was accepted.
    pub doubled: usize,
    /// The longest while in which nothing was done, milliseconds; none where the story has no steady load.
    pub longest_stall_ms: Option<u64>,
    /// Whatever else it measured.
    pub figures: BTreeMap<String, f64>,
    /// Of the program.
    pub version: String,
    /// Of the source.
    pub commit: String,
    /// Of the run.
    pub date: String,
}

/// A run that is under way.
#[derive(Debug)]
pub struct Run {
    /// How long it is to be.
    pub form: Form,
    /// Where it is told.
    pub store: Store,
    /// Its choices.
    pub choices: Choices,
    /// What it came to so far.
    pub line: Line,
}

/// Tells a fault story; `name` is the test's whole name.
pub fn chaos(name: &str, store: Store, tell: impl FnOnce(&mut Run)) {
    let form = Form::asked();
    story_within(form.of(LIMIT, LONGEST), name, || {
        let seed = setting("TASKLANE_CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        let line = Line {
            story: name.to_owned(),
            store: store.word().to_owned(),
            form: form.of("short", "long").to_owned(),
            seed,
            runs: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env::var("TASKLANE_CHAOS_COMMIT").unwrap_or_default(),
            date: env::var("TASKLANE_CHAOS_DATE").unwrap_or_default(),
            ..Line::default()
        };
        say(&format!("{name}: TASKLANE_CHAOS_SEED={seed}"));
        let mut run = Run { form, store, choices: Choices(seed), line };
        let start = Instant::now();
        tell(&mut run);
        run.line.seconds = (start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        run.leave();
    });
}

impl Run {
    /// Something else that was measured.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.line.figures.insert(name.to_owned(), (value * 1000.0).round() / 1000.0);
    }

    /// Something that took so long, in milliseconds, and was promised to take no longer than that.
    #[track_caller]
    pub fn within(&mut self, name: &str, took: Duration, promised: Duration) {
        self.figure(name, took.as_secs_f64() * 1000.0);
        let bound = promised * self.form.of(LENIENCE, 1);
        assert!(took <= bound, "{name}: {took:?}, and {bound:?} is the bound");
    }

    /// What the checker found.
    pub fn found(&mut self, figures: &Figures) {
        say(&format!("{}: {figures:?}", self.line.story));
        let line = &mut self.line;
        line.acked += figures.acked;
        line.succeeded += figures.succeeded;
        line.lost += figures.lost.len();
        line.doubled += figures.doubled.len();
        let stall = figures.longest_stall.as_millis() as u64;
        line.longest_stall_ms = line.longest_stall_ms.max(Some(stall));
        if line.lost + line.doubled > 0 {
            self.leave();
        }
        figures.assert_sound();
    }

    fn leave(&self) {
        let text = serde_json::to_string(&self.line).unwrap();
        say(&text);
        if let Some(path) = env::var_os("TASKLANE_CHAOS_RESULTS") {
            let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(format!("{text}\n").as_bytes()).unwrap();
        }
    }
}
