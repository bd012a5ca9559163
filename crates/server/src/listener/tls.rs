//! TLS for whoever calls: a certificate and its key from files, read anew where the files change.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::listen::TlsFiles;
use crate::error::StartError;

/// Longest time from a connection to the end of its handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How soon it is noticed that the files changed.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What makes a TLS connection of a plain one.
pub(super) struct Tls {
    files: TlsFiles,
    acceptor: RwLock<TlsAcceptor>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, or they do not belong together.
    pub fn read(files: &TlsFiles) -> Result<Arc<Self>, StartError> {
        let acceptor = RwLock::new(acceptor(files)?);
        Ok(Arc::new(Self { files: files.clone(), acceptor }))
    }

    /// Shakes hands.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone();
        timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the files again whenever they change. What cannot be used is said, and the last that could stays in use; open
    /// connections go on with what they began with.
    pub async fn look_again(self: Arc<Self>) {
        let mut last = changed_at(&self.files);
        loop {
            sleep(LOOK_EVERY).await;
            let now = changed_at(&self.files);
            if now == last {
                continue;
            }
            last = now;
            match acceptor(&self.files) {
                Ok(acceptor) => {
                    *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                    tracing::info!("the certificate was read anew");
                }
                Err(why) => tracing::error!(%why, "the changed certificate cannot be used; the last one stays in use"),
            }
        }
    }
}

fn changed_at(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    [&files.cert, &files.key].map(|it| it.metadata().and_then(|it| it.modified()).ok())
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let unread = |path: &Path, why: String| StartError::file(path, None, why);
    let certs = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certs = certs.map_err(|why| unread(&files.cert, why.to_string()))?;
    if certs.is_empty() {
        return Err(unread(&files.cert, "it holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| unread(&files.key, why.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|it| it.with_no_client_auth().with_single_cert(certs, key));
    let mut config = config.map_err(|why| unread(&files.cert, why.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
