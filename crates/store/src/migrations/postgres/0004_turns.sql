-- Lanes that tenants share. A queued task there stands at its turn (flag 64) instead of its rank.
-- What 'gates' of facts became when the lane had its first task of a named tenant; null: it had none.
ALTER TABLE tasklane.lanes ADD COLUMN shared bigint;

-- How far the turns of a lane and urgency have come: where who is new joins. A commit that leases there says so, unless
-- another one is about to.
CREATE TABLE tasklane.turns (
    lane int NOT NULL REFERENCES tasklane.lanes,
    urgency smallint NOT NULL,
    front bigint NOT NULL,
    PRIMARY KEY (lane, urgency)
) WITH (
    -- Written often: room for the next version keeps it on the same page.
    fillfactor = 10,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0
);
