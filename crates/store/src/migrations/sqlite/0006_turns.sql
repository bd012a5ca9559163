-- Whether the lane had a task of a named tenant: from then on its tasks take turns (sqlite/turns.rs).
ALTER TABLE lanes ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;

-- How far the turns of a lane and urgency have come (core/fair.rs). Lanes are numbered from 0, as where tasks stand.
CREATE TABLE turns (
    lane INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    front INTEGER NOT NULL,
    PRIMARY KEY (lane, urgency)
) WITHOUT ROWID;
