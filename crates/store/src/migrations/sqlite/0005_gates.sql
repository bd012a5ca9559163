-- A strand: the tasks of one lane and scope that name the same keys (JSON). Where tasks say their lane, those of a strand
-- say its number with the top bit of 32 set (sqlite/strands.rs).
CREATE TABLE strands (no INTEGER PRIMARY KEY, lane INTEGER NOT NULL, scope INTEGER NOT NULL, keys TEXT NOT NULL);

-- What is said of gates, and when tasks started at those with a rate (encoding/gate.rs). Slots stand nowhere: who runs holds
-- them.
CREATE TABLE gates (
    kind INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    set_by INTEGER,
    bounds TEXT,
    starts TEXT,
    PRIMARY KEY (kind, tenant, key)
) WITHOUT ROWID;
