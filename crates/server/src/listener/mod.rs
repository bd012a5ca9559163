//! Listens, accepts and serves connections, each within limits that a slow, silent or greedy caller cannot stretch.

mod body;
mod connection;
mod nofile;
mod stall;
mod tls;
mod turn_away;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tasklane_api::{Peer, TurnedAway};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::config::listen::{Listen, Taken};
use crate::error::StartError;
use connection::Serving;
use tls::Tls;

/// How long the accept loop rests after the system refused a connection (no file descriptors, no memory): long enough
/// not to spin, short enough not to be noticed once there is room again.
pub const ACCEPT_REST: Duration = Duration::from_millis(200);
/// Connections the system holds until they are accepted.
pub const BACKLOG: u32 = 1024;
/// How many ports after the wanted one `dev` tries.
pub const NEXT_PORTS: u16 = 100;

/// An address that is listened on, before anybody is served.
#[derive(Debug)]
pub struct Bound {
    socket: TcpListener,
    address: SocketAddr,
    max_connections: usize,
    tls: Option<Arc<Tls>>,
}

impl Bound {
    /// Listens where `listen` says.
    ///
    /// # Errors
    /// The port is taken, or the system refuses the address; the certificate or its key cannot be used.
    pub fn bind(listen: &Listen) -> Result<Self, StartError> {
        let tls = listen.tls.as_ref().map(Tls::read).transpose()?;
        let socket = match (listen_on(listen.address), listen.taken) {
            (Ok(socket), _) => socket,
            (Err(source), Taken::Next) if source.kind() == io::ErrorKind::AddrInUse => next_port(listen.address)?,
            (Err(source), _) => return Err(refused(listen.address, source)),
        };
        let address = socket.local_addr().map_err(|source| refused(listen.address, source))?;
        Ok(Self { socket, address, max_connections: listen.max_connections, tls })
    }

    /// The address, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve `router`; counts connections for which there is no place.
    pub fn serve(self, router: Router, turned_away: TurnedAway) -> Listener {
        let max_connections = nofile::room_for(self.max_connections);
        let (stop, stopping) = watch::channel(());
        let places = Arc::new(Semaphore::new(max_connections));
        let looking = self.tls.clone().map(|it| tokio::spawn(it.look_again()));
        let serving = Serving::new(router, stopping.clone());
        let gate = Gate { serving, tls: self.tls, places: Arc::clone(&places), turned_away };
        let accepting = tokio::spawn(accept(self.socket, gate, stopping));
        Listener { stop, places, max_connections, accepting, looking }
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the last server on this port may still be dying; they are no reason to wait a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn next_port(wanted: SocketAddr) -> Result<TcpListener, StartError> {
    for port in (1..=NEXT_PORTS).filter_map(|step| wanted.port().checked_add(step)) {
        if let Ok(socket) = listen_on(SocketAddr::new(wanted.ip(), port)) {
            return Ok(socket);
        }
    }
    Err(StartError::PortTaken { address: wanted })
}

fn refused(address: SocketAddr, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { address },
        _ => StartError::Listen { address, source },
    }
}

/// A listener that serves. Dropped, it cuts every connection.
#[derive(Debug)]
pub struct Listener {
    /// Its change lets connections finish the request they are at; its end cuts them.
    stop: watch::Sender<()>,
    places: Arc<Semaphore>,
    max_connections: usize,
    accepting: JoinHandle<()>,
    /// Looks whether the certificate changed.
    looking: Option<JoinHandle<()>>,
}

impl Listener {
    /// Accepts nobody new, lets open requests finish for at most `grace`, then cuts what is left.
    pub async fn stop(self, grace: Duration) {
        self.stop.send_replace(());
        let everybody = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(grace, self.places.acquire_many(everybody)).await.is_err() {
            let open = self.max_connections - self.places.available_permits();
            tracing::warn!(open, "cutting connections whose requests did not end within the grace");
        }
        self.accepting.abort();
        self.looking.iter().for_each(JoinHandle::abort);
    }
}

/// Accepts until told to stop. No error ends it: a server that accepts nobody is worse than one that tries again.
async fn accept(socket: TcpListener, gate: Gate, mut stopping: watch::Receiver<()>) {
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopping.changed() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                refused = false;
                gate.admit(stream, Peer(from.ip().to_canonical()));
            }
            Err(error) if is_of_one_caller(&error) => {}
            Err(error) => {
                // Once a row of them: what the system lacks, the log may lack too.
                if !refused {
                    tracing::warn!(%error, "cannot accept connections; trying again until it works");
                }
                refused = true;
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Where connections come in.
struct Gate {
    serving: Serving,
    tls: Option<Arc<Tls>>,
    places: Arc<Semaphore>,
    turned_away: TurnedAway,
}

impl Gate {
    fn admit(&self, stream: TcpStream, from: Peer) {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                let (serving, tls) = (self.serving.clone(), self.tls.clone());
                drop(tokio::spawn(serve(serving, tls, stream, from, place)));
            }
            Err(_) => {
                self.turned_away.count();
                // Who expects a handshake would not understand.
                if self.tls.is_none() {
                    turn_away::busy(stream);
                }
            }
        }
    }
}

/// Serves a connection to its end; `place` is given back with it.
async fn serve(serving: Serving, tls: Option<Arc<Tls>>, stream: TcpStream, from: Peer, place: OwnedSemaphorePermit) {
    // Answers are small and awaited: waiting for more to send would only add latency.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match tls {
        None => serving.connection(stream, from).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serving.connection(stream, from).await,
            Err(error) => tracing::debug!(%error, "a handshake failed"),
        },
    }
    drop(place);
}

/// Whether the caller went away before it was accepted; nothing is wrong with the server then.
fn is_of_one_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
