//! Submitters over plain HTTP: lanes of keep-alive connections in one thread, each awaiting its answer before its next.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::task::LocalSet;

use crate::http::{Connection, request};
use crate::machine::{monotonic_ns, seconds_since};
use crate::payload::{Spread, batch, new_task};
use crate::place::{Place, Watch};
use crate::report::{Sample, rate_since};
use crate::server::Server;
use crate::{Failure, machine};

/// Tasks a batch request carries.
pub const BATCH: usize = 1000;
/// Batch requests in flight at once.
pub const BATCHES_IN_FLIGHT: usize = 4;

/// Runs `work` on a runtime of this thread; client and server share the cores, so the client keeps to one.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

/// What of `0..` is still to be sent, shared by the lanes.
type Left = Rc<Cell<usize>>;

/// Queues `tasks` tasks as fast as it goes, [`BATCH`] a request.
pub async fn fill(server: &Server, tasks: usize) -> Result<(), Failure> {
    fill_all(std::slice::from_ref(server), tasks, Spread::NONE).await
}

/// The same, spread over queues and tenants, at servers in turn.
pub async fn fill_all(servers: &[Server], tasks: usize, spread: Spread) -> Result<(), Failure> {
    let message: Rc<[u8]> = request("POST", "/v1/tasks:batch", &batch(BATCH, spread)).into();
    let left: Left = Rc::new(Cell::new(tasks / BATCH));
    let lane = |server: &Server| fill_lane(server.address, Rc::clone(&message), Rc::clone(&left));
    join(servers.iter().cycle().take(BATCHES_IN_FLIGHT).map(lane).collect()).await
}

async fn fill_lane(address: SocketAddr, message: Rc<[u8]>, left: Left) -> Result<(), Failure> {
    let mut connection = Connection::open(address).await?;
    while let Some(rest) = left.get().checked_sub(1) {
        left.set(rest);
        connection.expect(201, &message).await?;
    }
    Ok(())
}

/// Submits one task a request on `in_flight` connections for `seconds`; answers with how many were accepted.
pub async fn singles(address: SocketAddr, in_flight: usize, seconds: f64) -> Result<usize, Failure> {
    let message: Rc<[u8]> = request("POST", "/v1/tasks", &new_task()).into();
    let sent = Rc::new(Cell::new(0));
    let began = monotonic_ns();
    let lanes: Vec<_> = (0..in_flight)
        .map(|_| {
            let (message, sent) = (Rc::clone(&message), Rc::clone(&sent));
            async move {
                let mut connection = Connection::open(address).await?;
                while seconds_since(began) < seconds {
                    connection.expect(201, &message).await?;
                    sent.set(sent.get() + 1);
                }
                Ok(())
            }
        })
        .collect();
    join(lanes).await?;
    Ok(sent.get())
}

/// Runs the lanes side by side to their end, or to the first failure.
pub async fn join(lanes: Vec<impl Future<Output = Result<(), Failure>> + 'static>) -> Result<(), Failure> {
    let lanes: Vec<_> = lanes.into_iter().map(tokio::task::spawn_local).collect();
    for lane in lanes {
        lane.await??;
    }
    Ok(())
}

/// The processor time of server and client over a measurement.
pub struct Cores<'p> {
    server: u32,
    database: Watch<'p>,
    began: i64,
    spent: (f64, f64),
}

impl<'p> Cores<'p> {
    /// Begins to look.
    pub fn watch(server: &Server, place: &'p Place) -> Self {
        let database = place.watch();
        Self { server: server.pid(), database, began: monotonic_ns(), spent: spent(server.pid()) }
    }

    /// The rate of `tasks` since, with the cores that server, client and database used.
    pub fn rate(&self, tasks: usize) -> Sample {
        let mut sample = rate_since(tasks, self.began);
        let (seconds, (server, client)) = (seconds_since(self.began), spent(self.server));
        sample.put("server_cores", (server - self.spent.0) / seconds);
        sample.put("client_cores", (client - self.spent.1) / seconds);
        sample.with(self.database.figures(tasks))
    }
}

fn spent(server: u32) -> (f64, f64) {
    (machine::cpu_seconds(server), machine::cpu_seconds(std::process::id()))
}
