//! Many servers on one PostgreSQL: what is asked of one holds at the others. What strikes at them stands in `tests/chaos`.

mod across;
mod frozen;
