//! Gates by hand and by configuration: what they let through, and how they are.

use std::collections::BTreeMap;

use tasklane_core::audit::{Deed, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::gate::{Bounds, EVERY_TENANT, Gate, GateDetail, GateName, SetBy, SetGate};
use tasklane_core::limit;
use tasklane_core::ports::store::{Batch, Store};
use tasklane_core::record::SetRecord;

use crate::audit::Note;
use crate::handle::Engine;

impl Engine {
    /// At most `most` gates that somebody defined or a task named, in the order of names, those after `after`.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn gates(&self, after: Option<GateName>, most: usize) -> Result<Vec<Gate>, StoreError> {
        self.inside().store.gates(after, most).await
    }

    /// A gate with those that hold its slots; `None`: nobody defined it and no task named it.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn gate(&self, name: GateName) -> Result<Option<GateDetail>, StoreError> {
        self.inside().store.gate(name).await
    }

    /// Says by hand what a gate is to let through from now on, and answers with it.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn set_gate(&self, name: GateName, bounds: Bounds) -> Result<Option<GateDetail>, StoreError> {
        let before = self.gate(name.clone()).await?.map(|it| Thing::Gate(it.gate.bounds));
        let note = self.note_of_gate(&name, Deed::GateSet, before, Some(Thing::Gate(bounds)));
        self.say_of_gates(vec![SetGate { name: name.clone(), by: SetBy::Operator, bounds: Some(bounds) }], note)
            .await?;
        self.gate(name).await
    }

    /// Forgets what was said of a gate, and answers with what it was; `None`: nothing was.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn remove_gate(&self, name: GateName) -> Result<Option<GateDetail>, StoreError> {
        let Some(gate) = self.gate(name.clone()).await? else { return Ok(None) };
        let note = self.note_of_gate(&name, Deed::GateRemoved, Some(Thing::Gate(gate.gate.bounds)), None);
        let done = self.say_of_gates(vec![SetGate { name, by: SetBy::Operator, bounds: None }], note).await?;
        Ok(Some(gate).filter(|_| done == [true]))
    }

    /// Makes the gates of the configuration (of queues, of types, and of keys for every tenant) what it says, but where
    /// somebody said otherwise by hand; those that are no longer in it are forgotten. What holds already is not written.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn configure_gates(&self, wanted: Vec<(GateName, Bounds)>) -> Result<(), StoreError> {
        let said: BTreeMap<GateName, Bounds> = configurable(&*self.inside().store).await?;
        let gone = said.keys().filter(|name| wanted.iter().all(|(it, _)| it != *name));
        let gone: Vec<_> = gone.map(|name| (name.clone(), None)).collect();
        let new = wanted.into_iter().filter(|(name, bounds)| said.get(name) != Some(bounds));
        let all = new.map(|(name, bounds)| (name, Some(bounds))).chain(gone);
        let all: Vec<SetGate> = all.map(|(name, bounds)| SetGate { name, by: SetBy::Config, bounds }).collect();
        if !all.is_empty() {
            // One line for all of them: each stands in the file.
            let note =
                Note { deed: Deed::GateSet, what: "gates of the configuration", tenant: "", before: None, after: None };
            self.say_of_gates(all, self.noted(note)).await?;
        }
        Ok(())
    }

    fn note_of_gate(
        &self,
        name: &GateName,
        deed: Deed,
        before: Option<Thing>,
        after: Option<Thing>,
    ) -> Option<Box<SetRecord>> {
        let tenant = if let GateName::Key { tenant, .. } = name { tenant } else { "" };
        self.noted(Note { deed, what: &name.to_string(), tenant, before, after })
    }

    async fn say_of_gates(&self, gate: Vec<SetGate>, note: Option<Box<SetRecord>>) -> Result<Vec<bool>, StoreError> {
        let record = note.map(|it| *it).into_iter().collect();
        let answers = self.inside().commit(Batch { gate, record, ..Batch::default() }).await?;
        Ok(answers.answers.gate)
    }
}

/// What the configuration said at an earlier start.
async fn configurable(store: &dyn Store) -> Result<BTreeMap<GateName, Bounds>, StoreError> {
    let mut said = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.gates(after, limit::PAGE_ITEMS).await?;
        let last = page.last().filter(|_| page.len() == limit::PAGE_ITEMS).map(|gate| gate.name.clone());
        let by_config = page.into_iter().filter(|gate| is_configurable(&gate.name) && gate.set_by == SetBy::Config);
        said.extend(by_config.map(|gate| (gate.name, gate.bounds)));
        after = match last {
            Some(last) if is_configurable(&last) => Some(last),
            // Between the gates of types and those of every tenant stand keys of nobody, which may be many.
            Some(last) if last < of_every_tenant() => Some(of_every_tenant()),
            _ => return Ok(said),
        };
    }
}

/// A name that stands before all gates of keys of every tenant, and names none.
pub(crate) fn of_every_tenant() -> GateName {
    GateName::Key { tenant: EVERY_TENANT.into(), key: "".into() }
}

/// Whether a configuration can speak of this gate.
pub(crate) fn is_configurable(name: &GateName) -> bool {
    match name {
        GateName::Queue(_) | GateName::Type(_) => true,
        GateName::Key { tenant, .. } => **tenant == *EVERY_TENANT,
    }
}
