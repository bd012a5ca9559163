//! Records of a store that goes into a database, and what is read back of them.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::error::Result;
use super::fill::{Fill, done};
use super::session::{Statement, Value};
use crate::promote::rows::{RecordRow, SlotRow};

pub(super) const RECORDS: &str = "SELECT kind, id, version, tenant, name, due, body FROM tasklane.records";
pub(super) const SLOTS: &str = "SELECT schedule, slot, came, task FROM tasklane.schedule_slots";

/// No version comes twice, also where the record that had it is gone.
const GO_ON: Statement = Statement {
    sql: "UPDATE tasklane.records_versions v SET version = greatest(v.version, u.version)
          FROM unnest($1::smallint[], $2::bigint[]) AS u(kind, version) WHERE v.kind = u.kind",
    types: &[Type::INT2_ARRAY, Type::INT8_ARRAY],
};

impl Fill {
    /// Writes records.
    pub(super) async fn records(&self, rows: &[RecordRow]) -> Result<()> {
        let types = [Type::INT2, Type::UUID, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT];
        let mut into = self.copy("records (kind, id, version, tenant, name, due, body)", &types).await?;
        for row in rows {
            let values: [Value<'_>; 7] =
                [&row.kind, &row.id, &row.version, &row.tenant, &row.name, &row.due, &row.body];
            into.as_mut().write(&values).await?;
        }
        done(into).await
    }

    /// Says the last version of each kind.
    pub(super) async fn versions(&self, last: &[(i16, i64)]) -> Result<()> {
        let (kinds, versions): (Vec<i16>, Vec<i64>) = last.iter().copied().unzip();
        self.session.run(&GO_ON, &[&kinds, &versions]).await
    }

    /// Writes what slots came to.
    pub(super) async fn slots(&self, rows: &[SlotRow]) -> Result<()> {
        let types = [Type::UUID, Type::INT8, Type::INT2, Type::UUID];
        let mut into = self.copy("schedule_slots (schedule, slot, came, task)", &types).await?;
        for row in rows {
            into.as_mut().write(&[&row.schedule, &row.slot, &row.came, &row.task]).await?;
        }
        done(into).await
    }
}

/// A row of [`RECORDS`].
pub(super) fn record(row: &Row) -> Result<RecordRow> {
    Ok(RecordRow {
        kind: row.try_get(0)?,
        id: row.try_get(1)?,
        version: row.try_get(2)?,
        tenant: row.try_get(3)?,
        name: row.try_get(4)?,
        due: row.try_get(5)?,
        body: row.try_get(6)?,
    })
}

/// A row of [`SLOTS`].
pub(super) fn slot(row: &Row) -> Result<SlotRow> {
    Ok(SlotRow { schedule: row.try_get(0)?, slot: row.try_get(1)?, came: row.try_get(2)?, task: row.try_get(3)? })
}
