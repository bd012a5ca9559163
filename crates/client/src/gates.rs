//! Gates: what tasks pass when they start, how full each is, and what it lets through.

use tasklane_core::gate::GateName;
use tasklane_wire::gate::{self, GateShape, LimitsShape};
use tasklane_wire::task::Page;

use crate::client::Client;
use crate::error::Error;
use crate::transport::{Call, segment};

impl Client {
    /// Every gate that somebody said something of or that a task named: of queues, of types, then of keys.
    ///
    /// # Errors
    /// As the server says.
    pub async fn gates(&self) -> Result<Vec<GateShape>, Error> {
        let mut page: Page<GateShape> = self.get("/v1/gates".into()).await?;
        let mut gates = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/gates?cursor={}", segment(&cursor))).await?;
            gates.append(&mut page.items);
        }
        Ok(gates)
    }

    /// One gate, with the tasks that hold its slots.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `gate_not_found` if nobody said anything of it and no task named it.
    pub async fn gate(&self, name: &GateName) -> Result<GateShape, Error> {
        self.get(path(name)).await
    }

    /// From the next start on the gate lets this through, whatever tasks or the configuration say.
    ///
    /// # Errors
    /// As the server says.
    pub async fn set_gate(&self, name: &GateName, limits: LimitsShape) -> Result<GateShape, Error> {
        let body = serde_json::to_vec(&limits).map_err(|error| Error::Invalid(error.to_string()))?;
        self.transport.send(Call::put(path(name), body)).await?.json()
    }

    /// Forgets what was said of the gate, until a task names it again or a server starts whose configuration does; the
    /// answer is what it was.
    ///
    /// # Errors
    /// As [`Client::gate`].
    pub async fn remove_gate(&self, name: &GateName) -> Result<GateShape, Error> {
        self.transport.send(Call::delete(path(name))).await?.json()
    }
}

fn path(name: &GateName) -> String {
    let (name, tenant) = gate::format(name);
    let tenant = tenant.map(|it| format!("?tenant={}", segment(it))).unwrap_or_default();
    format!("/v1/gates/{}{tenant}", segment(&name))
}
