//! Writes a new task, as clients do.

use tasklane_core::accept::{Moment, Start, UniquePolicy};

use super::new::{NewTask, UniqueShape};
use super::retry;
use crate::gate::write_limits;
use crate::json::{Object, string};
use crate::{duration, time, webhook};

impl NewTask<'_> {
    /// Appends the request's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.string("type", &self.task_type);
        if !self.payload.is_empty() {
            object.raw("payload", self.payload.as_bytes());
        }
        self.write_place(&mut object);
        self.write_times(&mut object);
        self.write_keys(&mut object);
        object.end();
    }

    fn write_place(&self, object: &mut Object<'_>) {
        if let Some(id) = self.id {
            object.id("id", id);
        }
        if let Some(queue) = &self.queue {
            object.string("queue", queue);
        }
        if let Some(priority) = self.priority {
            object.integer("priority", priority);
        }
        if let Some(tenant) = &self.tenant {
            object.string("tenant", tenant);
        }
        if !self.labels.is_empty() {
            let mut labels = Object::begin(object.key("labels"));
            for (key, value) in &self.labels {
                string(labels.any_key(key), value);
            }
            labels.end();
        }
    }

    fn write_times(&self, object: &mut Object<'_>) {
        match self.start {
            None | Some(Start::Now) => {}
            Some(Start::After(delay)) => object.word("delay", &duration::format(delay)),
            Some(Start::At(at)) => object.word("run_at", &time::format(at)),
        }
        for (key, moment) in [("start_deadline", self.start_deadline), ("deadline", self.deadline)] {
            match moment {
                None => {}
                Some(Moment::After(after)) => object.word(key, &duration::format(after)),
                Some(Moment::At(at)) => object.word(key, &time::format(at)),
            }
        }
        let timeouts = [("attempt_timeout", self.attempt_timeout), ("heartbeat_timeout", self.heartbeat_timeout)];
        for (key, timeout) in timeouts.into_iter().filter_map(|(key, it)| Some((key, it?))) {
            object.word(key, &duration::format(timeout));
        }
        if let Some(most) = self.max_attempts {
            object.integer("max_attempts", most);
        }
        if let Some(retry) = &self.retry {
            retry::write(object.key("retry"), retry);
        }
    }

    fn write_keys(&self, object: &mut Object<'_>) {
        if let Some(unique) = &self.unique {
            unique.write(object.key("unique"));
        }
        if !self.limits.is_empty() {
            let limits = self.limits.iter().map(|it| (&*it.key, it.bounds));
            write_limits(object.key("limits"), limits);
        }
        if let Some(callback) = &self.callback {
            webhook::write_callback(object.key("callback"), callback);
        }
        if let Some(key) = &self.idempotency_key {
            object.string("idempotency_key", key);
        }
    }
}

impl UniqueShape<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.string("key", &self.key);
        let policy = match self.policy {
            UniquePolicy::Return => "return",
            UniquePolicy::Reject => "reject",
            UniquePolicy::Replace => "replace",
        };
        object.word("policy", policy);
        if let Some(held_for) = self.held_for {
            object.word("for", &duration::format(held_for));
        }
        object.end();
    }
}
