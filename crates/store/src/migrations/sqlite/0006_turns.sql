-- Whether the lane had a task of a named tenant: from then on its tasks take turns (sqlite/turns.rs).
ALTER TABLE lanes ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
