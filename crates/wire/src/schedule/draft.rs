//! A schedule as a caller writes it: all of it where it is made, some of it where it is changed.

use std::borrow::Cow;
use std::time::Duration;

use tasklane_core::schedule::template::Template;
use tasklane_core::schedule::{CatchUp, Missed, Overlap, Rule, When};
use tasklane_core::time::Timestamp;

use crate::read::{Findings, Path};
use crate::task::NewTask;

/// The zone of a pattern that names none.
const UTC: &str = "UTC";

/// What is said of a schedule; what is `None` is left as it is, or to its default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScheduleDraft<'a> {
    /// No other one of its tenant has it.
    pub name: Option<Cow<'a, str>>,
    /// When its slots come.
    pub when: Option<WhenDraft<'a>>,
    /// The IANA name of the zone whose clock a pattern means.
    pub timezone: Option<Cow<'a, str>>,
    /// What each slot makes.
    pub task: Option<NewTask<'a>>,
    /// What a slot does while an earlier task is not finished.
    pub overlap: Option<Overlap>,
    /// What becomes of slots that nobody saw.
    pub missed: Option<MissedDraft>,
    /// Tasks start up to so much after their slot.
    pub jitter: Option<Duration>,
    /// No slot comes before this; `Some(None)`: there is no such moment any more.
    pub starts_at: Option<Option<Timestamp>>,
    /// No slot comes after this; `Some(None)`: there is no such moment any more.
    pub ends_at: Option<Option<Timestamp>>,
    /// Nothing comes of its slots for now.
    pub paused: Option<bool>,
}

/// When slots come, but for the zone.
#[derive(Debug, Clone, PartialEq)]
pub enum WhenDraft<'a> {
    /// At the moments of a pattern.
    Cron(Cow<'a, str>),
    /// Again and again after this long.
    Every(Duration),
    /// Once.
    At(Timestamp),
}

/// What is said of missed slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MissedDraft {
    /// Which are caught up with.
    pub policy: Option<CatchUp>,
    /// At most so many at once.
    pub cap: Option<u32>,
    /// None of longer ago.
    pub window: Option<Duration>,
}

impl ScheduleDraft<'_> {
    /// The name and the rule of a schedule that is made; what is missing is noted.
    pub fn into_new(self, findings: &mut Findings) -> Option<(Box<str>, Rule)> {
        let noted = findings.len();
        for (key, is_there) in [("name", self.name.is_some()), ("task", self.task.is_some())] {
            if !is_there {
                findings.missing(&Path::ROOT.key(key));
            }
        }
        let name = self.name.as_deref().map(Box::from);
        let when = self.when(findings);
        let (when, task) = (when?, self.task.clone()?.into_template());
        (findings.len() == noted).then_some((name?, self.change(Rule::new(when, task))))
    }

    /// When the slots of a schedule come of which nothing else was said; that nothing is said is noted.
    pub fn when(&self, findings: &mut Findings) -> Option<When> {
        let zone = self.timezone.as_deref();
        match &self.when {
            None => {
                if !["cron", "every", "at"].iter().any(|it| findings.name(&Path::ROOT.key(it))) {
                    findings.invalid(&Path::ROOT, "one of cron, every and at is required");
                }
                None
            }
            Some(WhenDraft::Cron(pattern)) => {
                Some(When::Cron { pattern: (&**pattern).into(), zone: zone.unwrap_or(UTC).into() })
            }
            Some(_) if zone.is_some() => {
                findings
                    .invalid(&Path::ROOT.key("timezone"), "only a pattern has a zone; give cron, or leave this out");
                None
            }
            Some(WhenDraft::Every(every)) => Some(When::Every(*every)),
            Some(WhenDraft::At(at)) => Some(When::At(*at)),
        }
    }

    /// A rule with what is said here.
    pub fn change(self, rule: Rule) -> Rule {
        let MissedDraft { policy, cap, window } = self.missed.unwrap_or_default();
        Rule {
            when: changed_when(rule.when, self.when.as_ref(), self.timezone.as_deref()),
            starts_at: self.starts_at.unwrap_or(rule.starts_at),
            ends_at: self.ends_at.unwrap_or(rule.ends_at),
            overlap: self.overlap.unwrap_or(rule.overlap),
            missed: Missed {
                policy: policy.unwrap_or(rule.missed.policy),
                cap: cap.unwrap_or(rule.missed.cap),
                window: window.unwrap_or(rule.missed.window),
            },
            jitter: self.jitter.unwrap_or(rule.jitter),
            // A task that names no tenant stays that tenant's.
            task: match self.task {
                Some(task) => {
                    let is_whose = task.tenant.is_some();
                    let new = task.into_template().signing_as(&rule.task);
                    if is_whose { new } else { Template { tenant: rule.task.tenant, ..new } }
                }
                None => rule.task,
            },
        }
    }
}

/// A pattern keeps its zone where only the pattern is said, and the other way round.
fn changed_when(was: When, draft: Option<&WhenDraft<'_>>, timezone: Option<&str>) -> When {
    let (pattern, zone) = match was {
        When::Cron { pattern, zone } => (Some(pattern), Some(zone)),
        When::Every(_) | When::At(_) if draft.is_none() => return was,
        When::Every(_) | When::At(_) => (None, None),
    };
    let zone = timezone.map(Box::from).or(zone).unwrap_or_else(|| UTC.into());
    match draft {
        Some(WhenDraft::Every(every)) => When::Every(*every),
        Some(WhenDraft::At(at)) => When::At(*at),
        Some(WhenDraft::Cron(pattern)) => When::Cron { pattern: (&**pattern).into(), zone },
        None => When::Cron { pattern: pattern.unwrap_or_default(), zone },
    }
}
