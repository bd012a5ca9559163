//! A connection to one server; cheap to clone.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::submit::Submitter;
use crate::transport::Transport;
use crate::worker::Worker;

/// Where a server is looked for unless something else is said.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// A connection to one server; cheap to clone, and meant to be shared: submits of all clones travel together.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) submitter: Arc<Submitter>,
}

impl Client {
    /// A client of the server that `TASKLANE_URL` names ([`DEFAULT_URL`] if it is not set), with the key in
    /// `TASKLANE_API_KEY` if that is set.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the URL or the key is none.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
        let builder = Self::builder().url(set("TASKLANE_URL").unwrap_or_else(|| DEFAULT_URL.into()));
        set("TASKLANE_API_KEY").into_iter().fold(builder, ClientBuilder::api_key).build()
    }

    /// To say where the server is and how it is talked to.
    pub fn builder() -> ClientBuilder {
        ClientBuilder { url: DEFAULT_URL.into(), api_key: None, timeout: Duration::from_secs(30) }
    }

    /// A worker of this server; it serves nothing yet.
    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.transport))
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        self.transport.url()
    }
}

/// Says where the server is and how it is talked to.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    pub(crate) url: String,
    pub(crate) api_key: Option<String>,
    pub(crate) timeout: Duration,
}

impl ClientBuilder {
    /// Where the server is; `http` or `https`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// The key to show.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// How long one request may take beyond a wait that it asks for; 30 seconds unless said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the URL or the key is none.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Arc::new(Transport::new(self)?);
        Ok(Client { submitter: Submitter::new(Arc::clone(&transport)), transport })
    }
}
