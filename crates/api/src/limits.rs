//! Every limit of the HTTP side, by name. Limits of connections and heads stand in `server`, those of tasks in core.

use std::time::Duration;

use tasklane_core::limit;

/// Room for the members of one task besides its payload.
const SLACK: usize = 64 << 10;

/// Longest body of one task.
pub const TASK_BODY: usize = limit::PAYLOAD_BYTES + SLACK;
/// Longest body of a batch.
pub const BATCH_BODY: usize = 32 << 20;
/// Longest body of a report.
pub const REPORT_BODY: usize = 32 << 20;
/// Longest body of a lease request.
pub const LEASE_BODY: usize = 1 << 20;
/// Longest body of a schedule.
pub const SCHEDULE_BODY: usize = limit::SCHEDULE_PAYLOAD_BYTES + SLACK;
/// How deep a schedule's payload lies in its body.
pub const SCHEDULE_DEPTH: usize = 2;
/// Most slots of a preview.
pub const PREVIEW: usize = 1000;
/// Longest body of an action.
pub const ACTION_BODY: usize = 64 << 10;

/// Longest time for a body to arrive, besides what its size may take at [`BODY_RATE`].
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes a second that a caller must manage at least.
pub const BODY_RATE: usize = 256 << 10;

/// Bodies up to this size are not counted against [`BODIES`].
pub const SMALL_BODY: usize = 64 << 10;
/// Most bytes of larger bodies held at once.
pub const BODIES: usize = 256 << 20;
/// Bodies over this size are read on a thread of their own, so that other callers need not wait for it.
pub const LARGE_BODY: usize = 256 << 10;

/// Longest request id taken over from a caller.
pub const REQUEST_ID_BYTES: usize = 128;
/// Bad keys that an address may send in [`BAD_KEYS_PER`].
pub const BAD_KEYS: u32 = 10;
/// The time of [`BAD_KEYS`].
pub const BAD_KEYS_PER: Duration = Duration::from_secs(60);
/// Most addresses whose bad keys are counted; where there are more, one more is told to wait.
pub const BAD_KEY_ADDRESSES: usize = 10_000;
/// Refused calls that a server notes in the audit log in [`NOTED_REFUSALS_PER`]; `tasklane_requests`
/// counts all.
pub const NOTED_REFUSALS: u32 = 60;
/// The time of [`NOTED_REFUSALS`].
pub const NOTED_REFUSALS_PER: Duration = Duration::from_secs(60);
/// Past so many callers with rates those that may call again are forgotten.
pub const COUNTED_CALLERS: usize = 10_000;
/// Most queues, types or workers of a page.
pub const PAGE_NAMES: usize = 1000;
/// Most queues of a page that are looked into for a verdict.
pub const VERDICTS: usize = 20;

/// How long a body of at most `most` bytes may take to arrive.
pub(crate) fn body_time(most: usize) -> Duration {
    BODY_TIME + Duration::from_secs((most / BODY_RATE) as u64)
}
