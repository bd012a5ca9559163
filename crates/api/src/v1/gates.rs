//! `/v1/gates`: what tasks pass, how full it is, and what it lets through.

use tasklane_core::gate::{Gate, GateName};
use tasklane_core::limit;
use tasklane_wire::gate::{self, GateShape};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::page;
use tasklane_wire::read::{Findings, Path};
use tasklane_wire::task::Page;

use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::{BAD_CURSOR, GATE_NOT_FOUND, Refused};
use crate::limits;

/// Between the tenant and the name in a cursor; neither has a control character.
const BETWEEN: char = '\n';

/// GET `/v1/gates`: in the order of queues, types, tenants and keys.
pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let most = query.limit(limits::PAGE_NAMES).unwrap_or(limit::PAGE_ITEMS);
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|it| after(&it).ok_or_else(bad_cursor)).transpose()?;
    let (gates, next_cursor) = match call.tenant() {
        None => page(&call, after, most).await?,
        Some(tenant) => own(&call, tenant).await?,
    };
    answer::shape(&Page { items: gates.iter().map(GateShape::from).collect(), next_cursor })
}

async fn page(call: &Call, after: Option<GateName>, most: usize) -> Result<(Vec<Gate>, Option<String>), Refused> {
    let mut gates = call.engine().gates(after, most + 1).await?;
    let is_more = gates.len() > most;
    gates.truncate(most);
    let next_cursor = gates.last().filter(|_| is_more).map(|it| cursor_after(&it.name));
    Ok((gates, next_cursor))
}

/// The gates of a tenant's keys, all on one page: others' stand between them.
async fn own(call: &Call, tenant: &str) -> Result<(Vec<Gate>, Option<String>), Refused> {
    // Before the first of its keys.
    let mut after = Some(GateName::Key { tenant: tenant.into(), key: "".into() });
    let mut own = Vec::new();
    loop {
        let gates = call.engine().gates(after, limits::PAGE_NAMES).await?;
        after = gates.last().map(|it| it.name.clone());
        let before = own.len();
        own.extend(gates.into_iter().filter(|it| is_of(&it.name, tenant)));
        if own.len() < before + limits::PAGE_NAMES {
            return Ok((own, None));
        }
    }
}

fn is_of(gate: &GateName, owner: &str) -> bool {
    matches!(gate, GateName::Key { tenant, .. } if **tenant == *owner)
}

/// GET `/v1/gates/{gate}`
pub(crate) async fn get(call: Call) -> Answer {
    let found = call.engine().gate(named(&call)?).await?;
    answer::shape(&GateShape::from(&found.ok_or_else(gate_not_found)?))
}

/// PUT `/v1/gates/{gate}`: from the next lease on.
pub(crate) async fn put(mut call: Call) -> Answer {
    let name = callers(named(&call)?)?;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let mut findings = Findings::default();
    let bounds = gate::read(Value::new(validate(&received.bytes, 0)?), &Path::ROOT, &mut findings);
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let set = call.acting().set_gate(name, bounds).await?;
    answer::shape(&GateShape::from(&set.ok_or_else(gate_not_found)?))
}

/// DELETE `/v1/gates/{gate}`: until a task names it again.
pub(crate) async fn delete(mut call: Call) -> Answer {
    let name = callers(named(&call)?)?;
    call.no_members().await?;
    let gone = call.acting().remove_gate(name).await?;
    answer::shape(&GateShape::from(&gone.ok_or_else(gate_not_found)?))
}

/// The gate that path and query name.
fn named(call: &Call) -> Result<GateName, Refused> {
    let mut query = call.query();
    let tenant = query.take("tenant");
    query.finish()?;
    let own = call.tenant().filter(|_| call.name.starts_with("key:")).map(str::to_owned);
    let named = gate::parse(&call.name, tenant.or(own).as_deref()).map_err(wrong)?;
    // Those of queues and types are everybody's, and tell of others.
    if call.tenant().is_none_or(|own| is_of(&named, own)) { Ok(named) } else { Err(gate_not_found()) }
}

fn wrong(what: impl Into<String>) -> Refused {
    let mut findings = Findings::default();
    findings.push("path:gate".to_owned(), what);
    findings.into()
}

/// A gate of which callers may say something; those whose keys begin with ~ are the server's own.
fn callers(name: GateName) -> Result<GateName, Refused> {
    if !matches!(&name, GateName::Key { key, .. } if key.starts_with('~')) {
        return Ok(name);
    }
    Err(wrong("this gate is the server's own: keys that begin with ~ are"))
}

fn cursor_after(name: &GateName) -> String {
    let (name, tenant) = gate::format(name);
    page::encode_name(&format!("{}{BETWEEN}{name}", tenant.unwrap_or_default()))
}

fn after(cursor: &str) -> Option<GateName> {
    let text = page::decode_name(cursor)?;
    let (tenant, name) = text.split_once(BETWEEN)?;
    gate::parse(name, Some(tenant).filter(|it| !it.is_empty())).ok()
}

fn bad_cursor() -> Refused {
    Refused::new(BAD_CURSOR, "this is no cursor that a page of this list ended with; begin without one")
}

fn gate_not_found() -> Refused {
    Refused::new(GATE_NOT_FOUND, "nobody said anything of this gate, and no task named it")
}
