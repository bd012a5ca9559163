-- How many running tasks hold a slot of the gates of their keys. Gates are counted by stripes: that of a gate is its number
-- modulo 16. A lease locks the stripes of the gates it may pass, in order, so that it sees all that was counted there before,
-- and adds a row of what it changed. What changes without the lock is left in 'returned', for the next who has it.
LOCK TABLE tasklane.held IN ACCESS EXCLUSIVE MODE;

-- Locked, never written, so that a lock costs no version of a row.
CREATE TABLE tasklane.stripes (no int PRIMARY KEY);
INSERT INTO tasklane.stripes SELECT generate_series(0, 15);

-- What leases counted, numbered within a stripe. A server that knows a row knows all before it.
CREATE TABLE tasklane.slots (
    stripe int NOT NULL,
    no bigint NOT NULL,
    -- The first row that counts: what was counted before it is in it.
    first bigint NOT NULL,
    -- Of whoever wrote it: rows that were lost with a database and written anew have the same number and another mark.
    mark bigint NOT NULL,
    -- By how many more or fewer the slots of each of these gates are held.
    gates int[] NOT NULL,
    n int[] NOT NULL,
    PRIMARY KEY (stripe, no)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tasklane.slots ALTER COLUMN gates SET STORAGE PLAIN, ALTER COLUMN n SET STORAGE PLAIN;

-- What is not yet counted there.
CREATE TABLE tasklane.returned (
    stripe int NOT NULL,
    -- When its commit began: whoever looks for what came lately passes by what others took away before.
    at bigint NOT NULL,
    gates int[] NOT NULL,
    n int[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tasklane.returned ALTER COLUMN gates SET STORAGE PLAIN, ALTER COLUMN n SET STORAGE PLAIN;
CREATE INDEX returned_stripe ON tasklane.returned (stripe, at);

INSERT INTO tasklane.returned (stripe, at, gates, n)
SELECT gate % 16, tasklane.now_micros(), array_agg(gate), array_agg(n) FROM (
    SELECT gate, sum(n)::int AS n, row_number() OVER (PARTITION BY gate % 16 ORDER BY gate) / 500 AS part
    FROM tasklane.held GROUP BY gate HAVING sum(n) <> 0) counted
GROUP BY gate % 16, part;

-- How many slots of each gate are held.
DROP TABLE tasklane.held;
CREATE VIEW tasklane.held AS SELECT gate, sum(n)::bigint AS n FROM (
    SELECT unnest(gates) AS gate, unnest(n) AS n FROM tasklane.slots
    UNION ALL SELECT unnest(gates), unnest(n) FROM tasklane.returned) counted GROUP BY gate;
-- Servers of the version before, while they still run, read that and append to it.
CREATE RULE held_insert AS ON INSERT TO tasklane.held DO INSTEAD
    INSERT INTO tasklane.returned (stripe, at, gates, n)
    VALUES (NEW.gate % 16, tasklane.now_micros(), ARRAY[NEW.gate], ARRAY[NEW.n::int]);
