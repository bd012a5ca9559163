-- Gates, and strands: what one lane has of tasks of one tenant with the same keys.

-- Every gate that somebody defined or a task named.
CREATE TABLE tasklane.gates (
    no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Its name, in the order of names: 1 of a queue, 2 of a type, 3 of a key.
    kind smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Who said what it lets through: 1 a task, 2 the configuration, 3 an operator; null: nobody does any more.
    set_by smallint,
    -- JSON.
    bounds text NOT NULL,
    -- What 'gates' of facts became when this was said.
    version bigint NOT NULL,
    -- When tasks started, JSON; null: never, or it has no rate.
    starts text,
    -- When some of these no longer count, so that there is more room: whoever promotes tells of it.
    opens bigint,
    UNIQUE (kind, tenant, key)
) WITH (
    -- Leases lock these rows: room for their next version keeps it on the same page.
    fillfactor = 50
);
CREATE INDEX gates_version ON tasklane.gates (version);
CREATE INDEX gates_opens ON tasklane.gates (opens) WHERE opens IS NOT NULL;

-- A task of a strand has minus its number in the place of its lane, so that a closed strand is not looked at.
CREATE TABLE tasklane.strands (
    no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane int NOT NULL REFERENCES tasklane.lanes,
    tenant text NOT NULL,
    -- JSON, in order.
    keys text NOT NULL,
    -- The gates of these keys in the same order; none of what the system does.
    gates int[] NOT NULL,
    version bigint NOT NULL,
    -- Of tenant and keys: ten keys do not fit an index.
    digest bytea NOT NULL,
    UNIQUE (lane, digest)
);

-- How many running tasks hold a slot of the gates of their keys, as changes that are added up: a commit adds what began and
-- what ended in it, housekeeping folds. A lease counts a gate only while it has the gate's row locked, and nobody else adds
-- to its slots meanwhile; slots that are given back are seen at the latest when the commit that does so has ended.
CREATE TABLE tasklane.held (
    gate int NOT NULL,
    n bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX held_gate ON tasklane.held (gate);

-- Grows with everything that is said of gates and with every strand; when somebody last held slots against what runs.
INSERT INTO tasklane.facts (name, value) VALUES ('gates', 0), ('slots_counted_at', 0);
