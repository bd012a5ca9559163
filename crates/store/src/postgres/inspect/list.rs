//! Pages of tasks, newest first. What can be told from the small columns is told by them; only tasks that fit are read
//! whole.

use tasklane_core::limit;
use tasklane_core::ports::store::{TaskFilter, TaskPage};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Reader, rows};
use crate::encoding::{LaneNo, Numbered, ScopeNo};
use crate::filter::{lane_fits, task_fits};
use crate::postgres::error::Result;
use crate::postgres::names::Names;
use crate::postgres::session::{Session, Statement};

const EXAMINE: Statement = Statement {
    sql: "SELECT id, lane, scope, state, created, hidden, (octet_length(payload) + coalesce(octet_length(result), 0))::bigint
          FROM tasklane.tasks WHERE id < $1 ORDER BY id DESC LIMIT $2",
    types: &[Type::UUID, Type::INT8],
};

/// Tasks of a dialect have an index of their own; those of `/v1` are most of all.
const EXAMINE_OF_ORIGIN: Statement = Statement {
    sql: "SELECT id, lane, scope, state, created, hidden, (octet_length(payload) + coalesce(octet_length(result), 0))::bigint
          FROM tasklane.tasks WHERE origin = $3 AND id < $1 ORDER BY id DESC LIMIT $2",
    types: &[Type::UUID, Type::INT8, Type::TEXT],
};

/// Rows examined at first; each further look takes twice as many.
const FIRST: usize = 250;

/// Where a look at rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Before a row that is there.
    Before,
    /// After the last one.
    After,
}

/// A page that is being filled.
struct Filling<'f> {
    filter: &'f TaskFilter,
    page: TaskPage,
    last: Option<TaskId>,
    examined: usize,
    bytes: usize,
}

impl Reader {
    /// A page.
    pub(crate) async fn list(
        &self,
        session: &Session,
        filter: &TaskFilter,
        below: Option<TaskId>,
        most: usize,
    ) -> Result<TaskPage> {
        let mut filling = Filling { filter, page: TaskPage::default(), last: None, examined: 0, bytes: 0 };
        // A greatest id of all bits would be left out, but no UUIDv7 is that.
        let mut below = below.map_or(Uuid::max(), |below| below.0);
        let mut look = FIRST.max(most + 1);
        loop {
            let examined = self.examine(session, filter, below, look).await?;
            let (end, chosen) = self.choose(session, &examined, &mut filling, most).await?;
            self.fill(session, &chosen, &mut filling).await?;
            if end == End::Before && filling.is_full(most) {
                filling.page.next = filling.last;
                return Ok(filling.page);
            }
            if end == End::After && examined.len() < look {
                return Ok(filling.page);
            }
            below = filling.last.map_or(below, |id| id.0);
            look = (look * 2).min(limit::READ_ROWS + 1);
        }
    }

    async fn examine(&self, session: &Session, filter: &TaskFilter, below: Uuid, look: usize) -> Result<Vec<Row>> {
        let look = look as i64;
        match filter.origin.as_deref().filter(|it| !it.is_empty()) {
            Some(origin) => session.rows(&EXAMINE_OF_ORIGIN, &[&below, &look, &origin]).await,
            None => session.rows(&EXAMINE, &[&below, &look]).await,
        }
    }

    /// Which of these rows may fit, until the page would be full if they all did.
    async fn choose(
        &self,
        session: &Session,
        examined: &[Row],
        filling: &mut Filling<'_>,
        most: usize,
    ) -> Result<(End, Vec<Uuid>)> {
        let mut names = self.shared.book.look();
        let mut chosen = Vec::new();
        for row in examined {
            if filling.page.tasks.len() + chosen.len() >= most || filling.is_full(most) {
                return Ok((End::Before, chosen));
            }
            filling.examined += 1;
            let id = TaskId(row.try_get(0)?);
            filling.last = Some(id);
            if fits_so_far(row, filling.filter, &names).is_none() {
                names = self.shared.book.read_on(session).await?;
            }
            if fits_so_far(row, filling.filter, &names).unwrap_or_default() {
                filling.bytes += usize::try_from(row.try_get::<_, i64>(6)?).unwrap_or(0);
                chosen.push(id.0);
            }
        }
        Ok((End::After, chosen))
    }

    /// Reads those that were chosen, and keeps those that fit in everything.
    async fn fill(&self, session: &Session, chosen: &[Uuid], filling: &mut Filling<'_>) -> Result<()> {
        let mut kept = self.kept(session, &rows(session, chosen).await?).await?;
        self.show(session, &mut kept).await?;
        kept.sort_unstable_by_key(|it| std::cmp::Reverse(it.task.facts.id));
        for kept in kept {
            if task_fits(filling.filter, &kept.task) {
                filling.page.tasks.push(kept.sound()?);
            }
        }
        Ok(())
    }
}

impl Filling<'_> {
    fn is_full(&self, most: usize) -> bool {
        self.page.tasks.len() >= most || self.bytes >= limit::LIST_BYTES || self.examined >= limit::READ_ROWS
    }
}

/// Whether a row fits as far as its small columns tell; `None`: it names what is not known.
fn fits_so_far(row: &Row, filter: &TaskFilter, names: &Names) -> Option<bool> {
    let lane = names.lane_of(LaneNo(row.try_get::<_, i32>(1).ok()? as u32)).ok()?;
    let scope = names.scope_of(ScopeNo(row.try_get::<_, i32>(2).ok()? as u32)).ok()?;
    let state = u8::try_from(row.try_get::<_, i16>(3).ok()?).ok()?;
    let created: i64 = row.try_get(4).ok()?;
    let hidden_at = row.try_get::<_, Option<i64>>(5).ok()?.map(Timestamp::from_micros);
    // What is queued may be shown as blocked.
    let may_be =
        |wanted: &State| wanted.code() == state || (*wanted == State::Blocked && State::Queued.code() == state);
    let in_state =
        filter.state.as_ref().is_none_or(may_be) && (filter.states.is_empty() || filter.states.iter().any(may_be));
    let in_time = filter.created_after.is_none_or(|it| created >= it.as_micros())
        && filter.created_before.is_none_or(|it| created < it.as_micros());
    Some(filter.hidden.shows(hidden_at) && in_state && in_time && lane_fits(filter, lane, scope))
}
