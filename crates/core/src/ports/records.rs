//! The reading side of records: what people set up and servers keep for them. They are changed in commits, as everything is
//! ([`super::store::Batch::record`]).

use uuid::Uuid;

use crate::error::StoreError;
use crate::ports::BoxFuture;
use crate::record::{DueRecords, Kind, Record, RecordQuery};
use crate::schedule::Came;
use crate::time::Timestamp;

/// What a read of records comes to.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Reads records.
pub trait Records: Send + Sync {
    /// A page of them, in the order that is asked for.
    fn page(&self, query: RecordQuery) -> Answer<'_, Vec<Record>>;

    /// One; `None`: there is none.
    fn one(&self, kind: Kind, id: Uuid) -> Answer<'_, Option<Record>>;

    /// At most `most` of a kind that are due by now, the longest due first, and how soon the next one is that is not.
    fn due(&self, kind: Kind, most: usize) -> Answer<'_, DueRecords>;

    /// Another number after each change of any record of this kind.
    fn version(&self, kind: Kind) -> Answer<'_, u64>;

    /// What the last slots of a schedule came to, those before `before`, newest first.
    fn slots(&self, schedule: Uuid, before: Option<Timestamp>, most: usize) -> Answer<'_, Vec<(Timestamp, Came)>>;
}
