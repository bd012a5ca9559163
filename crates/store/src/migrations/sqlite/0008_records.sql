-- What people set up and servers keep for them (core/record.rs): its kind (encoding/record.rs), whose it is, and its text.
CREATE TABLE records (
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT,
    -- Something is to be done about it then.
    due INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX records_name ON records (kind, tenant, name) WHERE name IS NOT NULL;
CREATE INDEX records_due ON records (kind, due) WHERE due IS NOT NULL;

-- The last version of a kind.
CREATE TABLE records_versions (kind INTEGER PRIMARY KEY, version INTEGER NOT NULL);

-- What the slots of schedules came to: one line a slot, whoever saw it come.
CREATE TABLE schedule_slots (
    schedule BLOB NOT NULL,
    slot INTEGER NOT NULL,
    came INTEGER NOT NULL,
    task BLOB,
    PRIMARY KEY (schedule, slot)
) WITHOUT ROWID;
