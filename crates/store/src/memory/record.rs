//! Records: kept as they are said, and changed by who has seen them.

use tasklane_core::accept::{NewTask, Submission};
use tasklane_core::limit;
use tasklane_core::ports::records::{Answer, Records};
use tasklane_core::record::{DueRecords, Kind, Order, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::schedule::Came;
use tasklane_core::time::Timestamp;
use uuid::Uuid;

use super::{MemoryStore, Model, Tx};

impl Tx<'_> {
    pub(super) fn set_record(&mut self, set: SetRecord) -> RecordSet {
        let (kind, id) = (set.kind, set.id);
        let there = self.model.records.get(&(kind, id)).map(|it| it.version);
        let name = set.to.as_ref().and_then(|to| Some((&to.tenant, to.name.as_ref()?)));
        let has_name = |it: &&Record| {
            name.is_some_and(|(tenant, name)| (&it.content.tenant, it.content.name.as_ref()) == (tenant, Some(name)))
        };
        let mut others = self.model.records.values().filter(|it| it.kind == kind && it.id != id);
        if let Err(why) = RecordSet::decide(set.seen, there, others.find(has_name).is_none()) {
            return why;
        }
        let version = self.model.records_versions.entry(kind).or_default();
        *version += 1;
        let version = *version;
        if let Some(gate) = set.gate.clone() {
            self.set_gate(gate);
        }
        // Its own keys may lead to a task that is there already, or refuse it.
        let accept =
            |task: &NewTask| self.accept(Submission { tasks: vec![task.clone()] }).ok()?.first().map(|it| it.id);
        let accepted: Vec<_> = set.then.iter().map(accept).collect();
        let slots = set.slots_of(&accepted);
        match set.to {
            Some(content) => drop(self.model.records.insert((kind, id), Record { kind, id, version, content })),
            None => {
                self.model.records.remove(&(kind, id));
                self.model.slots.retain(|(schedule, _), _| *schedule != id);
            }
        }
        self.model.slots.extend(slots.into_iter().map(|(slot, came)| ((id, slot), came)));
        let first_kept = self.model.slots_of(id, None, limit::SLOTS_KEPT).last().map(|(slot, _)| *slot);
        self.model.slots.retain(|(schedule, slot), _| *schedule != id || first_kept.is_none_or(|first| *slot >= first));
        if let Some(also) = set.also {
            self.set_record(*also);
        }
        RecordSet::Held(version)
    }
}

impl Model {
    pub(super) fn page_of_records(&self, query: &RecordQuery) -> Vec<Record> {
        let mut of_kind: Vec<&Record> = self.records.values().filter(|it| it.kind == query.kind).collect();
        if query.order == Order::Newest {
            of_kind.reverse();
        }
        let place = query.after.map_or(0, |after| {
            of_kind.partition_point(|it| if query.order == Order::Newest { it.id >= after } else { it.id <= after })
        });
        let of_kind = of_kind.into_iter().skip(place);
        let of_tenant = of_kind.filter(|it| query.tenant.as_ref().is_none_or(|tenant| *tenant == it.content.tenant));
        let of_name = of_tenant.filter(|it| query.name.is_none() || query.name == it.content.name);
        of_name.take(query.most).cloned().collect()
    }

    pub(super) fn due_records(&self, kind: Kind, most: usize) -> DueRecords {
        let of_kind = self.records.values().filter(|it| it.kind == kind);
        let mut with_due: Vec<(Timestamp, &Record)> = of_kind.filter_map(|it| Some((it.content.due?, it))).collect();
        with_due.sort_unstable_by_key(|(due, it)| (*due, it.id));
        let (due, later) = with_due.split_at(with_due.partition_point(|(due, _)| *due <= self.now));
        let next = later.first().map(|(at, _)| at.since(self.now));
        DueRecords { due: due.iter().take(most).map(|(_, it)| (*it).clone()).collect(), next }
    }

    pub(super) fn slots_of(&self, schedule: Uuid, before: Option<Timestamp>, most: usize) -> Vec<(Timestamp, Came)> {
        let of_schedule = self.slots.range((schedule, Timestamp::EPOCH)..=(schedule, Timestamp::MAX)).rev();
        let before = of_schedule.filter(|((_, slot), _)| before.is_none_or(|before| *slot < before));
        before.take(most).map(|((_, slot), came)| (*slot, *came)).collect()
    }
}

impl Records for MemoryStore {
    fn page(&self, query: RecordQuery) -> Answer<'_, Vec<Record>> {
        self.read(|model| model.page_of_records(&query))
    }

    fn one(&self, kind: Kind, id: Uuid) -> Answer<'_, Option<Record>> {
        self.read(|model| model.records.get(&(kind, id)).cloned())
    }

    fn due(&self, kind: Kind, most: usize) -> Answer<'_, DueRecords> {
        self.read(|model| model.due_records(kind, most))
    }

    fn version(&self, kind: Kind) -> Answer<'_, u64> {
        self.read(|model| model.records_versions.get(&kind).copied().unwrap_or(0))
    }

    fn slots(&self, schedule: Uuid, before: Option<Timestamp>, most: usize) -> Answer<'_, Vec<(Timestamp, Came)>> {
        self.read(|model| model.slots_of(schedule, before, most))
    }
}
