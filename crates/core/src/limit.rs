//! Every limit that a rule of core knows, by name. Limits of HTTP stand in `api`, those of commits in `store`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest payload or result in bytes.
pub const PAYLOAD_BYTES: usize = 1 << 20;
/// Most tasks of one submission.
pub const SUBMISSION_TASKS: usize = 10_000;
/// Priorities a task may have; higher runs first.
pub const PRIORITY: RangeInclusive<i64> = -1000..=1000;
/// How many attempts a task may ask for.
pub const MAX_ATTEMPTS: RangeInclusive<u64> = 1..=1_000_000;
/// How long one lease may be.
pub const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// Most tasks one lease request may take.
pub const LEASE_TASKS: usize = 1000;
/// Bytes of payloads after which a lease request gets no further task, however many it wanted.
pub const LEASE_BYTES: usize = 32 << 20;
/// Bytes of payloads, results and failures after which a page of tasks ends.
pub const LIST_BYTES: usize = 8 << 20;
/// Longest wait of a lease request for work.
pub const LEASE_WAIT: Duration = Duration::from_secs(30);
/// Longest wait of a reader for a task's end.
pub const RESULT_WAIT: Duration = Duration::from_secs(60);
/// How long an idempotency key is remembered after it was first used.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a worker has, from the delivery of a cancellation, to stop by itself.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);
/// The most that a lease granted before an outage is prolonged by when the outage ends.
pub const OUTAGE_GRACE: Duration = Duration::from_secs(60);
/// How long the event log reaches back.
pub const EVENTS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most bytes of the event log; past it the oldest commits go, however young.
pub const EVENTS_BYTES: u64 = 1 << 30;
/// A difference between the wall clock and the last stamp in the store that somebody should look at.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
/// Past so many bytes a store's write-ahead log is told of: somebody reads an old state of the file and does not end.
pub const WAL_BYTES: u64 = 256 << 20;
/// Attempts in a row ended by a dying worker before a task is quarantined.
pub const CRASHES_IN_A_ROW: u32 = 3;
/// Most types remembered of which tasks were quarantined lately.
pub const CRASHING_TYPES: usize = 1_000;
/// Most quarantined tasks of a type that are counted.
pub const CRASHING_TASKS: usize = 1_000;
/// Longest queue, tenant, worker name, key, or label value in bytes.
pub const NAME_BYTES: usize = 200;
/// Most labels of a task.
pub const LABELS: usize = 64;
/// Longest failure message in bytes; the rest is cut with a marker.
pub const FAILURE_MESSAGE_BYTES: usize = 8 << 10;
/// Longest failure stack or details in bytes.
pub const FAILURE_DETAIL_BYTES: usize = 64 << 10;
/// Longest progress message or data in bytes.
pub const PROGRESS_BYTES: usize = 16 << 10;
/// Longest log line in bytes, message and fields; the rest is cut with a marker.
pub const LOG_LINE_BYTES: usize = 16 << 10;
/// Most log lines of an attempt; then one marker ends its log.
pub const LOG_LINES: usize = 10_000;
/// Most bytes of log of an attempt; then one marker ends its log.
pub const LOG_BYTES: usize = 1 << 20;
/// Most log lines of a page.
pub const LOG_PAGE_LINES: usize = 1_000;
/// Bytes of log after which a page ends.
pub const LOG_PAGE_BYTES: usize = 1 << 20;
/// Most bytes of checkpoints a task keeps, names included.
pub const CHECKPOINT_BYTES: usize = 1 << 20;
/// Most checkpoints a task keeps.
pub const CHECKPOINTS: usize = 1_000;
/// Most delays a retry policy may list.
pub const RETRY_DELAYS: usize = 100;
/// Most lanes a server keeps; a submit that would make one more is refused.
pub const LANES: usize = 100_000;
/// Most limits of a task: keys of gates that it names.
pub const LIMITS: usize = 10;
/// How much more or less of a lane than others a tenant may get.
pub const WEIGHT: RangeInclusive<f64> = 0.1..=100.0;
/// Most tenants of a lane and priority whose last turn is remembered; past it they are counted anew.
pub const TAILS: usize = 100_000;
/// Most strands a server keeps: what tasks of one queue, type and tenant with the same keys are. A submit that would make one
/// more is refused; about as many more as one submission has tasks may come at once.
pub const STRANDS: usize = 200_000;
/// Most tasks that a gate may let run at a time.
pub const SLOTS: u32 = 1_000_000;
/// How many starts a rate may let through in its time.
pub const RATE_COUNT: RangeInclusive<u32> = 1..=1_000_000;
/// The time of a rate.
pub const RATE_PER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);
/// Slots of a schedule of which it is remembered what they came to: the last ones.
pub const SLOTS_KEPT: usize = 1_000;
/// Longest payload of a schedule's task in bytes: it is read and written with each slot.
pub const SCHEDULE_PAYLOAD_BYTES: usize = 64 << 10;
/// Most slots that are caught up with at once.
pub const MISSED: u32 = 1_000;
/// How long after its slot a task may start at most.
pub const JITTER: Duration = Duration::from_secs(24 * 3600);
/// How exactly it is known when a key was last used.
pub const KEY_USE: Duration = Duration::from_secs(600);
/// How long lines of the audit log are kept.
pub const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Most bytes of a result that are told to a webhook; of a larger one its size is.
pub const RESULT_TOLD_BYTES: usize = 16 << 10;
/// Most deliveries on their way at once to one host that tasks of a tenant call back.
pub const CALLBACKS_AT_ONCE: u32 = 8;
/// Most deliveries on their way at once to whomever tasks of a tenant call back, and most to all endpoints of a tenant's own:
/// no tenant takes what others wait for.
pub const DELIVERIES_OF_TENANT: u32 = 64;
/// Most endpoints that a server tells of events.
pub const ENDPOINTS: usize = 1_000;
/// Most endpoints of one tenant, and most that are told of everybody's tasks: each may have a delivery of every event.
pub const ENDPOINTS_OF_ONE: usize = 16;
/// Most deliveries on their way at once to one endpoint.
pub const ENDPOINT_RUNNING: u32 = 64;
/// Longest URL of an endpoint or a callback in bytes.
pub const URL_BYTES: usize = 2_000;
/// Most headers of an endpoint.
pub const ENDPOINT_HEADERS: usize = 20;
/// Most lanes of a key.
pub const KEY_LANES: usize = 100;
/// The longest time for which the secret before opens beside a new one.
pub const KEY_OVERLAP: Duration = Duration::from_secs(90 * 24 * 3600);
/// The longest time between two slots of a schedule.
pub const SCHEDULE_EVERY: Duration = Duration::from_secs(366 * 24 * 3600);
/// Most moments of starts that a gate with a rate tells apart; where there are more, its room comes back up to a
/// sixty-fourth of the rate's time late.
pub const RATE_MOMENTS: usize = 64;
/// Most holders of slots that are shown of a gate.
pub const GATE_HOLDERS: usize = 100;
/// Most rows one read examines; past it a page is short and carries a cursor.
pub const READ_ROWS: usize = 20_000;
/// Most items of a page.
pub const PAGE_ITEMS: usize = 200;
/// The longest duration a request may name.
pub const DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
