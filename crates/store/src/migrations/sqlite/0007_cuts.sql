-- How far a strand was taken, where its rows of `takeable` still hold what was taken: nothing up to there stands any more.
-- Hundreds of these fit on a page, while rows of `takeable` lie on one a strand where much is queued (sqlite/takeable.rs).
CREATE TABLE cuts (
    lane INTEGER PRIMARY KEY,
    urgency INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
