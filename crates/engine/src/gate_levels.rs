//! How full gates are, as metrics. Labels are bounded: gates of queues, of types and of keys that the configuration limits,
//! never a key that only callers name.

use std::collections::BTreeMap;

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tasklane_core::error::StoreError;
use tasklane_core::gate::{EVERY_TENANT, Gate, GateName, SetBy};
use tasklane_core::ports::store::Store;

use crate::gate::{is_configurable, of_every_tenant};
use crate::metrics::{Labels, Level};

/// Most gates that are looked at, of queues and types and nobody's keys; as many again of tenants' keys. A server with more
/// shows the rest by `/v1/gates`.
const GATES: usize = 1_000;

/// Gates of one name: of a configured key each tenant has one.
#[derive(Default)]
struct Sum {
    running: u64,
    waiting: u64,
    full: u64,
}

/// The first gates, in the order of their names.
pub(crate) async fn look(store: &dyn Store) -> Result<Vec<Gate>, StoreError> {
    let mut gates = store.gates(None, GATES).await?;
    let last = gates.last().filter(|_| gates.len() == GATES).map(|gate| gate.name.clone());
    if let Some(last) = last {
        gates.extend(store.gates(Some(last.max(of_every_tenant())), GATES).await?);
    }
    Ok(gates)
}

/// Registers how many there are, and how full those are that have a label of their own.
pub(crate) fn levels(registry: &mut Registry, gates: &[Gate]) {
    let count = Level::default();
    count.set(gates.len() as f64);
    registry.register("gates", "Gates that somebody limited or a task named", count);
    let sums = sums(gates);
    let mut level = |name: &str, help: &str, of: fn(&Sum) -> u64| {
        let family = Family::<Labels, Level>::default();
        for (gate, sum) in &sums {
            family.get_or_create(&vec![("gate", gate.clone())]).set(of(sum) as f64);
        }
        registry.register(name, help, family);
    };
    level("gate_running", "Running tasks that pass a gate of a queue, a type or a configured key", |it| it.running);
    level("gate_waiting", "Queued tasks that pass it, whatever they wait for", |it| it.waiting);
    level("gate_full", "Whether nothing can start that passes it; of a key, for how many tenants", |it| it.full);
}

fn sums(gates: &[Gate]) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for gate in gates.iter().filter(|it| is_configurable(&it.name)) {
        match &gate.name {
            // It only stands in for others and holds nothing itself.
            GateName::Key { key, .. } if gate.set_by == SetBy::Config => {
                sums.entry(format!("key:{key}")).or_default();
            }
            GateName::Key { .. } => {}
            GateName::Queue(name) => sums.entry(format!("queue:{name}")).or_default().add(gate),
            GateName::Type(name) => sums.entry(format!("type:{name}")).or_default().add(gate),
        }
    }
    for gate in gates {
        if let GateName::Key { tenant, key } = &gate.name
            && **tenant != *EVERY_TENANT
            && let Some(sum) = sums.get_mut(&format!("key:{key}"))
        {
            sum.add(gate);
        }
    }
    sums
}

impl Sum {
    fn add(&mut self, gate: &Gate) {
        self.running += gate.running;
        self.waiting += gate.waiting;
        self.full += u64::from(gate.is_full());
    }
}

#[cfg(test)]
mod tests {
    use tasklane_core::gate::Bounds;

    use super::*;

    fn gate(name: GateName, set_by: SetBy, running: u64) -> Gate {
        Gate { name, bounds: Bounds { max_running: Some(2), rate: None }, set_by, running, waiting: 1, opens_at: None }
    }

    fn key(tenant: &str, key: &str) -> GateName {
        GateName::Key { tenant: tenant.into(), key: key.into() }
    }

    #[test]
    fn what_only_callers_name_has_no_label() {
        let gates = [
            gate(GateName::Queue("q".into()), SetBy::Operator, 2),
            gate(GateName::Type("t".into()), SetBy::Config, 1),
            gate(key("", "smtp"), SetBy::Config, 2),
            gate(key("", "user:7"), SetBy::Task, 1),
            gate(key("*", "smtp"), SetBy::Config, 0),
            gate(key("*", "by hand"), SetBy::Operator, 0),
            gate(key("acme", "smtp"), SetBy::Operator, 1),
        ];
        let sums = sums(&gates);
        let told: Vec<_> = sums.iter().map(|(name, it)| (name.as_str(), it.running, it.waiting, it.full)).collect();
        assert_eq!(told, [("key:smtp", 3, 2, 1), ("queue:q", 2, 1, 1), ("type:t", 1, 1, 0)]);
    }
}
