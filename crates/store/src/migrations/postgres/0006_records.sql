-- What people set up and servers keep for them (core/record.rs): its kind (encoding/record.rs), whose it is, and its text.
CREATE TABLE tasklane.records (
    kind smallint NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    tenant text NOT NULL,
    name text,
    -- Something is to be done about it then.
    due bigint,
    body text NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX records_name ON tasklane.records (kind, tenant, name) WHERE name IS NOT NULL;
CREATE INDEX records_due ON tasklane.records (kind, due) WHERE due IS NOT NULL;

-- The last version of a kind. Whoever changes a record locks it first, so changes of a kind come one after the other.
CREATE TABLE tasklane.records_versions (kind smallint PRIMARY KEY, version bigint NOT NULL);
INSERT INTO tasklane.records_versions SELECT generate_series(1, 3), 0;

-- What the slots of schedules came to: one line a slot, whoever saw it come.
CREATE TABLE tasklane.schedule_slots (
    schedule uuid NOT NULL,
    slot bigint NOT NULL,
    came smallint NOT NULL,
    task uuid,
    PRIMARY KEY (schedule, slot)
);
