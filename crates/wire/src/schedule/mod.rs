//! A schedule: as it is asked for, and as it is read.

mod draft;
mod read_draft;
mod shape;
mod write_draft;

pub use draft::{MissedDraft, ScheduleDraft, WhenDraft};
pub use shape::{MissedShape, Outcome, PreviewShape, RunShape, ScheduleShape, SlotShape};
