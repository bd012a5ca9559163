//! The checksum of payloads and results: xxh3-64 over (id, bytes). SQLite's own integrity check does not see a flipped bit
//! inside a value.

use tasklane_core::task::TaskId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The checksum of these bytes as a part of this task. The id seeds the hash, so that bytes of one task that turn up in
/// the row of another are found out too.
pub(crate) fn sum(id: TaskId, bytes: &[u8]) -> u64 {
    let id = id.0.as_u128();
    xxh3_64_with_seed(bytes, (id as u64) ^ ((id >> 64) as u64))
}
