-- The dialect that accepted a task; null for `/v1`, whose tasks never enter the index.
ALTER TABLE tasks ADD COLUMN origin TEXT;
CREATE INDEX tasks_origin ON tasks (origin, id) WHERE origin IS NOT NULL;
