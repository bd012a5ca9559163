//! Writes what is said of a schedule, as clients do.

use tasklane_core::schedule::{CatchUp, Overlap};

use super::draft::{MissedDraft, ScheduleDraft, WhenDraft};
use crate::json::Object;
use crate::{duration, time};

impl ScheduleDraft<'_> {
    /// Appends the request's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        if let Some(name) = &self.name {
            object.string("name", name);
        }
        match &self.when {
            None => {}
            Some(WhenDraft::Cron(pattern)) => object.string("cron", pattern),
            Some(WhenDraft::Every(every)) => object.word("every", &duration::format(*every)),
            Some(WhenDraft::At(at)) => object.word("at", &time::format(*at)),
        }
        if let Some(timezone) = &self.timezone {
            object.string("timezone", timezone);
        }
        if let Some(task) = &self.task {
            task.write(object.key("task"));
        }
        if let Some(overlap) = self.overlap {
            object.word("overlap", overlap_word(overlap));
        }
        if let Some(missed) = &self.missed {
            missed.write(object.key("missed"));
        }
        self.write_bounds(&mut object);
        object.end();
    }

    fn write_bounds(&self, object: &mut Object<'_>) {
        if let Some(jitter) = self.jitter {
            object.word("jitter", &duration::format(jitter));
        }
        for (key, bound) in [("starts_at", self.starts_at), ("ends_at", self.ends_at)] {
            match bound {
                None => {}
                Some(None) => object.raw(key, b"null"),
                Some(Some(at)) => object.word(key, &time::format(at)),
            }
        }
        if let Some(paused) = self.paused {
            object.bool("paused", paused);
        }
    }
}

impl MissedDraft {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        if let Some(policy) = self.policy {
            object.word("policy", policy_word(policy));
        }
        if let Some(cap) = self.cap {
            object.integer("cap", cap);
        }
        if let Some(window) = self.window {
            object.word("window", &duration::format(window));
        }
        object.end();
    }
}

const fn overlap_word(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Allow => "allow",
        Overlap::Skip => "skip",
        Overlap::Replace => "replace",
        Overlap::QueueOne => "queue_one",
    }
}

const fn policy_word(policy: CatchUp) -> &'static str {
    match policy {
        CatchUp::None => "none",
        CatchUp::One => "one",
        CatchUp::All => "all",
    }
}
