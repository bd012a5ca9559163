//! When slots come, and what they do, as the command line says it.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

/// When slots come.
#[derive(Debug, Default, Args)]
pub(crate) struct Times {
    /// At the moments of this pattern, such as '0 9 * * MON-FRI' or @daily
    #[arg(long, value_name = "PATTERN", group = "when")]
    cron: Option<String>,
    /// Again and again after this long, from 1s to 366d
    #[arg(long, value_name = "DURATION", group = "when")]
    every: Option<String>,
    /// Once, at this moment
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,
    /// The zone whose clock the pattern means, such as Europe/Berlin; UTC unless said
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// No slot before this moment; `none` takes it away
    #[arg(long, value_name = "TIME")]
    starts_at: Option<String>,
    /// No slot after this moment; `none` takes it away
    #[arg(long, value_name = "TIME")]
    ends_at: Option<String>,
}

/// What slots do.
#[derive(Debug, Default, Args)]
pub(crate) struct Manner {
    /// What a slot does while a task of an earlier one is not finished: its task all the same, none, the earlier one is
    /// cancelled, or one task waits
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    overlap: Option<Overlap>,
    /// Which slots are caught up with that nobody saw: none, the last one, or all
    #[arg(long, value_enum, value_name = "WHICH")]
    missed: Option<Missed>,
    /// At most so many of them at once
    #[arg(long, value_name = "N")]
    missed_cap: Option<u32>,
    /// None of longer ago than this
    #[arg(long, value_name = "DURATION")]
    missed_window: Option<String>,
    /// Tasks start up to so much after their slot, each by an amount of its own
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
}

/// What a slot does while a task of an earlier one is not finished.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Overlap {
    /// Makes its task all the same
    Allow,
    /// Makes none
    Skip,
    /// Has the earlier ones cancelled
    Replace,
    /// Makes its task, which waits, unless another waits already
    QueueOne,
}

/// Which slots are caught up with that nobody saw.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Missed {
    /// None of them
    None,
    /// The last one
    One,
    /// All of them
    All,
}

/// What takes a bound away.
const NONE: &str = "none";

impl Times {
    /// The members of a request; what was not said is not there.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let Self { cron, every, at, timezone, starts_at, ends_at } = self;
        let texts = [("cron", cron), ("every", every), ("at", at), ("timezone", timezone)];
        let texts = texts.into_iter().filter_map(|(key, it)| Some((key.to_owned(), it.as_deref()?.into())));
        let bound = |it: &str| if it == NONE { Value::Null } else { it.into() };
        let bounds = [("starts_at", starts_at), ("ends_at", ends_at)];
        texts.chain(bounds.into_iter().filter_map(|(key, it)| Some((key.to_owned(), bound(it.as_deref()?))))).collect()
    }
}

impl Manner {
    /// The members of a request; what was not said is not there.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let word = |it: &dyn Fn() -> Option<clap::builder::PossibleValue>| it().map(|it| Value::from(it.get_name()));
        let mut missed = Map::new();
        missed.extend(word(&|| self.missed?.to_possible_value()).map(|it| ("policy".to_owned(), it)));
        missed.extend(self.missed_cap.map(|it| ("cap".to_owned(), it.into())));
        missed.extend(self.missed_window.as_deref().map(|it| ("window".to_owned(), it.into())));
        let mut members = Map::new();
        members.extend(word(&|| self.overlap?.to_possible_value()).map(|it| ("overlap".to_owned(), it)));
        members.extend((!missed.is_empty()).then(|| ("missed".to_owned(), json!(missed))));
        members.extend(self.jitter.as_deref().map(|it| ("jitter".to_owned(), it.into())));
        members
    }
}
