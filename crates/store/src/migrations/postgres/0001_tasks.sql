-- The first schema. Times are microseconds since 1970. Numbers of states, reasons and flags never change their meaning.

-- The store's clock: the only place that asks for the time.
CREATE FUNCTION tasklane.now_micros() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

CREATE TABLE tasklane.queues (
    no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    state smallint NOT NULL DEFAULT 1
);
-- Read by every commit, and mostly empty.
CREATE INDEX queues_not_active ON tasklane.queues (no) WHERE state <> 1;

CREATE TABLE tasklane.lanes (
    no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue int NOT NULL REFERENCES tasklane.queues,
    type text NOT NULL,
    UNIQUE (queue, type)
);

CREATE TABLE tasklane.scopes (
    no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text NOT NULL,
    tenant text NOT NULL,
    UNIQUE (origin, tenant)
);

CREATE TABLE tasklane.tasks (
    id uuid NOT NULL,
    created bigint NOT NULL,
    -- Its place in the lane: urgency (minus the priority), then rank, then id.
    rank bigint NOT NULL,
    -- The rank while it is queued, else null: only so does a row leave the index of what may be leased without its state
    -- standing in that index, which would make every later change touch all indexes.
    place bigint,
    queued bigint,
    -- The next moment at which something happens to it by itself; null while it runs: see alarms.
    due bigint,
    run_at bigint,
    started bigint,
    finished bigint,
    -- Of the last attempt, also after its end.
    token bigint,
    -- While it runs.
    lease_length bigint,
    lease_until bigint,
    heard bigint,
    grace_until bigint,
    payload_sum bigint NOT NULL,
    result_sum bigint,
    lane int NOT NULL,
    scope int NOT NULL,
    attempt int NOT NULL DEFAULT 0,
    spent int NOT NULL DEFAULT 0,
    urgency smallint NOT NULL,
    state smallint NOT NULL,
    reason smallint NOT NULL,
    crashes smallint NOT NULL DEFAULT 0,
    flags smallint NOT NULL DEFAULT 0,
    -- True while it runs and somebody asked to cancel it, else null.
    to_cancel boolean,
    -- The state and reason (state * 256 + reason) the last attempt was settled with, unless it runs.
    settled smallint,
    -- Of the dialect that accepted it; null is /v1.
    origin text,
    worker text,
    -- JSON; null is the default.
    spec text,
    failure text,
    progress text,
    hidden bigint,
    payload bytea NOT NULL,
    result bytea,
    CONSTRAINT tasks_pkey PRIMARY KEY (id)
) WITH (
    -- Room in each page for the running and the final version of what is queued in it: the end of a task then changes no
    -- index, and half the write-ahead log is written.
    fillfactor = 50,
    -- Rows turn over: what is dead must go before the next thousands come.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05,
    toast.autovacuum_vacuum_cost_delay = 0
);
-- Large values go out of line as they are; compressing them would cost more than their space.
ALTER TABLE tasklane.tasks ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE tasklane.tasks ALTER COLUMN result SET STORAGE EXTERNAL;

-- What may be leased, in its order.
CREATE INDEX tasks_takeable ON tasklane.tasks (lane, urgency, place, id) WHERE place IS NOT NULL;
-- What happens by itself to tasks that do not run.
CREATE INDEX tasks_due ON tasklane.tasks (due) WHERE due IS NOT NULL;
-- A handful at most.
CREATE INDEX tasks_to_cancel ON tasklane.tasks (id) WHERE to_cancel IS NOT NULL;
CREATE INDEX tasks_of_origin ON tasklane.tasks (origin, id) WHERE origin IS NOT NULL;

-- Look at these running tasks then, not later: a row a lease call, so that no row of a task stands in an index for it. Every
-- running task is in one at least whose time is not after its own.
CREATE TABLE tasklane.alarms (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    tasks uuid[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX alarms_at ON tasklane.alarms (at);

-- An attempt that ended before the last one. JSON.
CREATE TABLE tasklane.attempts (
    task uuid NOT NULL,
    attempt int NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (task, attempt)
);

-- What an attempt said: a chunk a report.
CREATE TABLE tasklane.logs (
    task uuid NOT NULL,
    attempt int NOT NULL,
    -- The number of the chunk's last line.
    last bigint NOT NULL,
    lines int NOT NULL,
    bytes int NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (task, attempt, last)
);

CREATE TABLE tasklane.checkpoints (
    task uuid NOT NULL,
    name text NOT NULL,
    sum bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (task, name)
);

-- Idempotency keys (1) and unique keys (2).
CREATE TABLE tasklane.keys (
    kind smallint NOT NULL,
    tenant text NOT NULL,
    key text NOT NULL,
    task uuid NOT NULL,
    fingerprint bigint,
    -- Held until then; null: until it is let go.
    until bigint,
    -- The last state of a task that was removed while its key was still remembered.
    gone smallint,
    PRIMARY KEY (kind, tenant, key)
);
CREATE INDEX keys_of_task ON tasklane.keys (task);
CREATE INDEX keys_until ON tasklane.keys (until) WHERE until IS NOT NULL;

-- The event log: a row a commit that moved something. Its position is the transaction's number, so that readers who stop
-- below the oldest open transaction skip nothing.
CREATE TABLE tasklane.events (
    position bigint PRIMARY KEY,
    at bigint NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE tasklane.events ALTER COLUMN body SET STORAGE EXTERNAL;

-- How many tasks stand in each state, as changes that are added up on the way. Commits append, housekeeping folds, so no
-- row is hot.
CREATE TABLE tasklane.counters (
    lane int NOT NULL,
    scope int NOT NULL,
    counted smallint NOT NULL,
    n bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Servers in touch with the database, and when they last were.
CREATE TABLE tasklane.servers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    seen bigint NOT NULL
) WITH (fillfactor = 50);

-- Numbers about the whole.
CREATE TABLE tasklane.facts (
    name text PRIMARY KEY,
    value bigint NOT NULL
);
-- What is added to a transaction's number to make a position; every event up to the floor was cut off the log.
INSERT INTO tasklane.facts (name, value) VALUES ('position_base', 0), ('log_floor', 0);
