//! `db check`: everything a file says, held against everything else it says. It reads one consistent moment and works
//! while a server runs.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::Connection;
use tasklane_core::event::Position;
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::counters::{COUNTED_TO, Counters};
use super::error::{OpenError, Result};
use super::live::{self, cuts, fact};
use super::migrate;
use super::names::{LaneNo, Names, ScopeNo};
use super::notes;
use super::readers;
use super::row::{COLUMNS, Kept};
use super::running::{GrantBody, is_current};
use super::seqs::unpack;
use super::strands::StrandNo;
use super::takeable::Place;

/// Most problems a report spells out.
pub(crate) const SPELLED_OUT: usize = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tasks read, payloads and results with their checksums.
    pub tasks: u64,
    /// What is wrong, a line each, at most a hundred.
    pub problems: Vec<String>,
    /// How many more there are.
    pub more_problems: u64,
}

impl Report {
    /// Whether all is well.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < SPELLED_OUT {
            self.problems.push(what.into());
        } else {
            self.more_problems += 1;
        }
    }
}

/// Checks the database at `path`.
///
/// # Errors
/// [`OpenError`] where it cannot be looked at at all.
pub fn check(path: &Path) -> Result<Report, OpenError> {
    let faulty = |fault| OpenError::from_fault(path, &fault);
    let db = open_known(path)?;
    db.execute_batch("BEGIN").map_err(|error| faulty(error.into()))?;
    let mut report = Report::default();
    check_pages(&db, &mut report).map_err(faulty)?;
    if report.is_sound() {
        // Damaged pages make no sense as tasks.
        Rest::read(&db, &mut report).and_then(|rest| rest.compare(&db, &mut report)).map_err(faulty)?;
    }
    Ok(report)
}

/// A read-only connection to a file of a schema this program knows.
pub(crate) fn open_known(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::io(path, "there is no such file"));
    }
    super::open::look_at_header(path)?;
    let db = readers::open(path).map_err(|fault| OpenError::from_fault(path, &fault))?;
    let (found, known) = (migrate::version(&db, path)?, migrate::known());
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    if found < known {
        return Err(OpenError::Older { path: path.to_owned(), found, known });
    }
    Ok(db)
}

fn check_pages(db: &Connection, report: &mut Report) -> Result<()> {
    let mut check = db.prepare(&format!("PRAGMA integrity_check({SPELLED_OUT})"))?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.problem(line);
        }
    }
    Ok(())
}

/// What the tasks say of everything else.
#[derive(Default)]
struct Rest {
    counts: HashMap<(LaneNo, ScopeNo), Counts>,
    queued: HashMap<i64, (StrandNo, Place)>,
    due: HashMap<TaskId, Timestamp>,
    /// Tasks whose heads tell of logs or checkpoints.
    notes: HashMap<i64, (TaskId, u8)>,
}

impl Rest {
    fn read(db: &Connection, report: &mut Report) -> Result<Self> {
        let names = Names::load(db)?;
        let grants = live::grants(db, &names)?;
        let mut leases: HashMap<i64, Vec<(&GrantBody, usize)>> = HashMap::new();
        for (_, grant) in &grants {
            grant.tasks.iter().enumerate().for_each(|(at, (seq, _))| leases.entry(*seq).or_default().push((grant, at)));
        }
        let mut rest = Self::default();
        let mut all = db.prepare(&format!("SELECT {COLUMNS} FROM tasks ORDER BY seq"))?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            report.tasks += 1;
            let mut kept = match Kept::read_with_payload(row, &names) {
                Ok(kept) => kept,
                Err(fault) => {
                    report.problem(format!("row {}: {fault}", row.get::<_, i64>(0)?));
                    continue;
                }
            };
            let current = |(grant, at): &&(&GrantBody, usize)| is_current(&kept.task, grant.tasks[*at].1);
            let lease = leases.get(&kept.seq).and_then(|leases| leases.iter().find(current));
            match lease {
                Some((grant, at)) => live::resume(&mut kept, grant, *at),
                None if kept.task.facts.state == State::Running => {
                    report.problem(format!("task {} runs but nobody leased it", kept.task.facts.id));
                }
                None => {}
            }
            rest.add(&kept);
        }
        Ok(rest)
    }

    fn add(&mut self, kept: &Kept) {
        let facts = &kept.task.facts;
        if kept.notes != 0 {
            self.notes.insert(kept.seq, (facts.id, kept.notes));
        }
        self.counts.entry((kept.lane, kept.scope)).or_default().add(kept.task.counted(), 1);
        if facts.state == State::Queued {
            self.queued.insert(kept.seq, (kept.strand, Place::of(kept.seq, &kept.task)));
        }
        if let Some(at) = facts.due_at().filter(|_| facts.state != State::Running) {
            self.due.insert(facts.id, at);
        }
    }

    fn compare(mut self, db: &Connection, report: &mut Report) -> Result<()> {
        self.compare_counts(db, report)?;
        self.compare_queued(db, report)?;
        self.compare_due(db, report)?;
        notes::check(db, self.notes, |problem| report.problem(problem))
    }

    fn compare_counts(&mut self, db: &Connection, report: &mut Report) -> Result<()> {
        let counted_to = Position(fact(db, COUNTED_TO)?.unwrap_or(0) as u64);
        for (lane, scope, counts) in Counters::load(db, counted_to)?.each() {
            let found = self.counts.remove(&(lane, scope)).unwrap_or_default();
            for what in Counted::all().filter(|it| found.of(*it) != counts.of(*it)) {
                let (found, counted) = (found.of(what), counts.of(what));
                report.problem(format!(
                    "lane {} scope {}: {found} tasks are {what:?}, {counted} are counted",
                    lane.0, scope.0
                ));
            }
        }
        for ((lane, scope), counts) in self.counts.drain().filter(|(_, counts)| counts.total() > 0) {
            report.problem(format!("lane {} scope {}: {} tasks are not counted", lane.0, scope.0, counts.total()));
        }
        Ok(())
    }

    fn compare_queued(&mut self, db: &Connection, report: &mut Report) -> Result<()> {
        let cuts = cuts(db)?;
        let queued: HashSet<StrandNo> = self.queued.values().map(|(strand, _)| *strand).collect();
        for StrandNo(no) in cuts.keys().filter(|strand| !queued.contains(strand)) {
            report.problem(format!("strand {no} is noted as taken in part, but nothing of it is queued"));
        }
        let mut all = db.prepare("SELECT lane, urgency, rank, first, seqs FROM takeable")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let (strand, urgency, rank) = (StrandNo(row.get(0)?), row.get(1)?, row.get(2)?);
            for seq in unpack(row.get(3)?, readers::blob(row, 4)?)? {
                let is_cut = cuts.get(&strand).is_some_and(|cut| Place { urgency, rank, seq } <= *cut);
                if !is_cut && self.queued.remove(&seq) != Some((strand, Place { urgency, rank, seq })) {
                    report.problem(format!("row {seq} stands in strand {} where it does not belong", strand.0));
                }
            }
        }
        self.queued.keys().for_each(|seq| report.problem(format!("row {seq} is queued but stands in no strand")));
        Ok(())
    }

    fn compare_due(&mut self, db: &Connection, report: &mut Report) -> Result<()> {
        let mut all = db.prepare("SELECT at, id FROM due")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let (at, id) = (Timestamp::from_micros(row.get(0)?), TaskId::from_bytes(row.get(1)?));
            if self.due.remove(&id) != Some(at) {
                report.problem(format!("task {id} is noted as due when nothing is due"));
            }
        }
        self.due.keys().for_each(|id| report.problem(format!("task {id} has a due moment that is not noted")));
        Ok(())
    }
}
