//! Names that many rows share, kept once under a number: lanes and scopes; gates and strands beside them. Numbers are given by the database and never
//! change, so each server keeps what it has met and asks for what it has not.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use tasklane_core::task::{Lane, Scope};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::{Session, Statement};
use super::strands::{self, GateNo, Strands, is_wide_of};
use super::tx::Tx;
use crate::encoding::{Damaged, LaneNo, Numbered, Result as Decoded, ScopeNo};

const LANES: Statement = Statement {
    sql: "SELECT l.no, q.name, l.type FROM tasklane.lanes l JOIN tasklane.queues q ON q.no = l.queue WHERE l.no > $1",
    types: &[Type::INT4],
};

const SCOPES: Statement =
    Statement { sql: "SELECT no, origin, tenant FROM tasklane.scopes WHERE no > $1", types: &[Type::INT4] };

/// Names are numbered by one commit at a time, so that whoever can read a number can read every lower one.
const TURN: Statement =
    Statement { sql: "SELECT pg_advisory_xact_lock('tasklane.lanes'::regclass::oid::int, 0)", types: &[] };

const ADD_QUEUES: Statement = Statement {
    sql: "INSERT INTO tasklane.queues (name) SELECT DISTINCT u.name FROM unnest($1::text[]) AS u(name)
          WHERE NOT EXISTS (SELECT 1 FROM tasklane.queues q WHERE q.name = u.name)
          ORDER BY u.name ON CONFLICT DO NOTHING",
    types: &[Type::TEXT_ARRAY],
};

const ADD_LANES: Statement = Statement {
    sql: "INSERT INTO tasklane.lanes (queue, type)
          SELECT q.no, u.type FROM unnest($1::text[], $2::text[]) AS u(queue, type) JOIN tasklane.queues q ON q.name = u.queue
          WHERE NOT EXISTS (SELECT 1 FROM tasklane.lanes l WHERE l.queue = q.no AND l.type = u.type)
          ORDER BY q.no, u.type ON CONFLICT DO NOTHING",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

const ADD_SCOPES: Statement = Statement {
    sql: "INSERT INTO tasklane.scopes (origin, tenant)
          SELECT u.origin, u.tenant FROM unnest($1::text[], $2::text[]) AS u(origin, tenant)
          WHERE NOT EXISTS (SELECT 1 FROM tasklane.scopes s WHERE s.origin = u.origin AND s.tenant = u.tenant)
          ORDER BY 1, 2 ON CONFLICT DO NOTHING",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

/// What a server knows of the names.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    pub lanes: HashMap<LaneNo, Arc<Lane>, RandomState>,
    scopes: HashMap<ScopeNo, Arc<Scope>, RandomState>,
    by_lane: HashMap<Arc<Lane>, LaneNo, RandomState>,
    by_scope: HashMap<Arc<Scope>, ScopeNo, RandomState>,
    by_tenant: HashMap<Box<str>, Vec<ScopeNo>, RandomState>,
    last_lane: i32,
    last_scope: i32,
    pub strands: Arc<Strands>,
}

/// How far names have been numbered: the last lane and scope, and the last word about gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub lane: i32,
    pub scope: i32,
    pub gates: i64,
}

impl Names {
    pub(crate) fn lane_no(&self, lane: &Lane) -> Option<LaneNo> {
        self.by_lane.get(lane).copied()
    }

    pub(crate) fn scope_no(&self, scope: &Scope) -> Option<ScopeNo> {
        self.by_scope.get(scope).copied()
    }

    fn last(&self) -> Last {
        Last { lane: self.last_lane, scope: self.last_scope, gates: self.strands.version() }
    }

    /// Whether others have numbered names since.
    fn is_behind(&self, last: Last) -> bool {
        last.lane > self.last_lane || last.scope > self.last_scope || last.gates > self.strands.version()
    }

    /// Whether numbers were lost that were met before: a standby took over that had not heard of them.
    fn is_ahead(&self, last: Last) -> bool {
        last.lane < self.last_lane || last.scope < self.last_scope || last.gates < self.strands.version()
    }

    /// The number of the strand of these keys, or of the lane where there are none.
    pub(crate) fn strand_no(&self, lane: LaneNo, scope: &Scope, keys: &[Box<str>]) -> Option<LaneNo> {
        match keys {
            [] => Some(lane),
            keys => self.strands.strand_no(lane, &scope.tenant, keys.iter().map(|key| &**key)),
        }
    }

    /// The lanes whose tasks pass this gate, or did before it was removed, each with its strands that do.
    pub(crate) fn passing(&self, gate: GateNo) -> Vec<(LaneNo, Vec<LaneNo>)> {
        let Some(name) = self.strands.name(gate).filter(|_| self.strands.is_wide(gate)) else {
            return self.strands.passing(gate);
        };
        let lanes = self.lanes.iter().filter(|(_, lane)| is_wide_of(name, lane));
        lanes.map(|(no, _)| (*no, self.strands.strands_of(*no).collect())).collect()
    }

    /// The numbers of scopes that `wanted` lets through.
    pub(crate) fn scopes_where(&self, wanted: impl Fn(&Scope) -> bool) -> Vec<i32> {
        self.scopes.iter().filter(|(_, scope)| wanted(scope)).map(|(no, _)| no.0 as i32).collect()
    }

    /// The scopes of a tenant.
    pub(crate) fn scopes_of(&self, tenant: &str) -> &[ScopeNo] {
        self.by_tenant.get(tenant).map_or(&[], |scopes| scopes)
    }

    /// The numbers of lanes that `wanted` lets through.
    pub(crate) fn lanes_where(&self, wanted: impl Fn(&Lane) -> bool) -> Vec<i32> {
        self.lanes.iter().filter(|(_, lane)| wanted(lane)).map(|(no, _)| no.0 as i32).collect()
    }

    /// Every name there is.
    pub(crate) async fn all(session: &Session) -> Result<Self> {
        let mut names = Self::default();
        names.read_on(session).await?;
        Ok(names)
    }

    /// Reads what has been numbered since.
    pub(crate) async fn read_on(&mut self, session: &Session) -> Result<()> {
        let news = self.news(session).await?;
        self.add(&news)
    }

    async fn news(&self, session: &Session) -> Result<News> {
        // Strands before the lanes they are of.
        let strands = self.strands.news(session).await?;
        let lanes = session.rows(&LANES, &[&self.last_lane]).await?;
        Ok(News { strands, lanes, scopes: session.rows(&SCOPES, &[&self.last_scope]).await? })
    }

    fn add(&mut self, news: &News) -> Result<()> {
        for row in &news.lanes {
            let no: i32 = row.try_get(0)?;
            let (lane, key) = (Lane::new(row.try_get(1)?, row.try_get(2)?), LaneNo(no as u32));
            self.lanes.insert(key, Arc::clone(&lane));
            self.by_lane.insert(lane, key);
            self.last_lane = self.last_lane.max(no);
        }
        for row in &news.scopes {
            let no: i32 = row.try_get(0)?;
            let scope = Scope { origin: row.try_get::<_, &str>(1)?.into(), tenant: row.try_get::<_, &str>(2)?.into() };
            let scope = if scope == Scope::default() { Scope::native() } else { Arc::new(scope) };
            self.scopes.insert(ScopeNo(no as u32), Arc::clone(&scope));
            self.by_tenant.entry(scope.tenant.clone()).or_default().push(ScopeNo(no as u32));
            self.by_scope.insert(scope, ScopeNo(no as u32));
            self.last_scope = self.last_scope.max(no);
        }
        if !news.strands.is_empty() || (!news.lanes.is_empty() && self.strands.is_any()) {
            let known = Arc::make_mut(&mut self.strands);
            known.add(&news.strands)?;
            known.widen(&self.lanes);
        }
        Ok(())
    }
}

/// Names that were numbered lately.
struct News {
    strands: strands::News,
    lanes: Vec<Row>,
    scopes: Vec<Row>,
}

impl Numbered for Names {
    fn lane_of(&self, no: LaneNo) -> Decoded<&Arc<Lane>> {
        let lane = self.strands.lane_of(no).and_then(|lane| self.lanes.get(&lane));
        lane.ok_or_else(|| Damaged::new("a task of an unknown lane"))
    }

    fn scope_of(&self, no: ScopeNo) -> Decoded<&Arc<Scope>> {
        self.scopes.get(&no).ok_or_else(|| Damaged::new("a task of an unknown scope"))
    }
}

/// The names of a server, shared by all that it does.
pub(crate) struct NameBook(RwLock<Arc<Names>>);

impl NameBook {
    pub(crate) async fn open(session: &Session) -> Result<Self> {
        Ok(Self(RwLock::new(Arc::new(Names::all(session).await?))))
    }

    pub(crate) fn look(&self) -> Arc<Names> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what others have added, outside of any transaction.
    pub(crate) async fn read_on(&self, session: &Session) -> Result<Arc<Names>> {
        let known = self.look();
        let news = known.news(session).await?;
        if news.lanes.is_empty() && news.scopes.is_empty() && news.strands.is_empty() {
            return Ok(known);
        }
        let mut names = (*known).clone();
        names.add(&news)?;
        let names = Arc::new(names);
        self.learn(&names);
        Ok(names)
    }

    /// Learns what a commit that took place has read and numbered.
    pub(crate) fn learn(&self, names: &Arc<Names>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_behind(names.last()) {
            *known = Arc::clone(names);
        }
    }

    /// Reads everything anew: some of it is no longer so.
    async fn read_anew(&self, session: &Session) -> Result<Arc<Names>> {
        let names = Arc::new(Names::all(session).await?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&names);
        Ok(names)
    }
}

impl Tx<'_> {
    /// Waits until nobody else numbers names; the turn is over with the commit.
    pub(super) async fn take_names_turn(&self) -> Result<()> {
        self.session.run(&TURN, &[]).await
    }

    /// Numbers these names; others meet them when this commit has taken place.
    pub(super) async fn number(&mut self, lanes: &[Arc<Lane>], scopes: &[Arc<Scope>]) -> Result<()> {
        self.take_names_turn().await?;
        put(self.session, lanes, scopes).await?;
        self.read_names().await
    }

    /// What is known of the names, brought to these last numbers, which the database has just told.
    pub(super) async fn know_names_up_to(&mut self, last: Last) -> Result<()> {
        if self.names.is_ahead(last) {
            self.names = self.shared.book.read_anew(self.session).await?;
        } else if self.names.is_behind(last) {
            self.read_names().await?;
        }
        Ok(())
    }

    /// Reads what has been numbered since.
    pub(super) async fn read_names(&mut self) -> Result<()> {
        Arc::make_mut(&mut self.names).read_on(self.session).await
    }
}

/// Numbers the names that have no number.
pub(crate) async fn put(session: &Session, lanes: &[Arc<Lane>], scopes: &[Arc<Scope>]) -> Result<()> {
    let queues: Vec<&str> = lanes.iter().map(|it| &*it.queue).collect();
    let types: Vec<&str> = lanes.iter().map(|it| &*it.task_type).collect();
    if !lanes.is_empty() {
        session.run(&ADD_QUEUES, &[&queues]).await?;
        session.run(&ADD_LANES, &[&queues, &types]).await?;
    }
    if !scopes.is_empty() {
        let origins: Vec<&str> = scopes.iter().map(|it| &*it.origin).collect();
        let tenants: Vec<&str> = scopes.iter().map(|it| &*it.tenant).collect();
        session.run(&ADD_SCOPES, &[&origins, &tenants]).await?;
    }
    Ok(())
}
