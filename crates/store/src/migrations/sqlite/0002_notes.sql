-- What attempts said, a chunk a report (sqlite/notes.rs): the number of its last line, how many lines and bytes they were.
-- The rows of a task whose head says that there are some.
CREATE TABLE logs (
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    last INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, attempt, last)
) WITHOUT ROWID;

-- What attempts put aside for the next one, with the checksum of the data.
CREATE TABLE checkpoints (
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    sum INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (seq, name)
) WITHOUT ROWID;
