-- Names written once, numbers everywhere else.
CREATE TABLE queues (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state INTEGER NOT NULL);
CREATE TABLE lanes (no INTEGER PRIMARY KEY, queue INTEGER NOT NULL, type TEXT NOT NULL);
CREATE TABLE scopes (no INTEGER PRIMARY KEY, origin TEXT NOT NULL, tenant TEXT NOT NULL);
CREATE TABLE workers (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- One row a task, in the order of acceptance. `head` has a fixed part (sqlite/row.rs) and, behind it, room for the result,
-- given when the task is accepted, so that settling overwrites the row where it lies. A task that runs its attempt n may
-- still show what it was before that attempt: then `leases` says that it runs.
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    head BLOB NOT NULL,
    payload BLOB NOT NULL,
    more BLOB
);
CREATE UNIQUE INDEX tasks_id ON tasks (id);

-- What may start now: for each lane, priority (urgency is its negative) and rank the numbers of the tasks, packed.
CREATE TABLE takeable (
    lane INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    first INTEGER NOT NULL,
    seqs BLOB NOT NULL,
    PRIMARY KEY (lane, urgency, rank, first)
) WITHOUT ROWID;

-- What happens by itself to tasks that do not run.
CREATE TABLE due (at INTEGER NOT NULL, id BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID;

-- What was leased together, until the last of it is settled.
CREATE TABLE leases (no INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- Attempts that ended before the last one of their task.
CREATE TABLE attempts (
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, attempt)
) WITHOUT ROWID;

-- Idempotency keys (kind 1) and unique keys (kind 2) of a tenant.
CREATE TABLE keys (
    kind INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    id BLOB NOT NULL,
    fingerprint INTEGER,
    until INTEGER,
    gone INTEGER,
    PRIMARY KEY (kind, tenant, key)
) WITHOUT ROWID;
CREATE INDEX keys_id ON keys (id);
CREATE INDEX keys_until ON keys (until) WHERE until IS NOT NULL;

-- One row a commit that changed some task (sqlite/log.rs).
CREATE TABLE log (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL);

-- How many tasks stand in each state, as of the position in `facts`; the log tells the rest.
CREATE TABLE counters (
    lane INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (lane, scope)
) WITHOUT ROWID;

CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
