//! The server, over HTTP. Answers stay the bytes they are: `-o json` prints them unchanged.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Serialize;
use tasklane_server::Settings;
use tasklane_server::config::client::{API_KEY, URL};
use tasklane_wire::read;
use tokio::time::timeout;

use crate::failure::{Exit, Failure};
use crate::stream::Stream;

/// The server that is talked to unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8000";
/// Longest time to reach it.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time of an answer, apart from a wait that was asked for.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest answer that is read: a page of whole tasks with payloads of 1 MiB is the largest there is.
const ANSWER_BYTES: usize = 512 << 20;

/// What is sent as a body: see [`Call::json`].
pub(crate) fn json(request: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    http: Client,
    base: Url,
    key: Option<String>,
}

/// What is asked of it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'a str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    wait: Duration,
}

impl<'a> Call<'a> {
    /// Reads what is at `path` below `/v1`.
    pub(crate) fn get(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::service(["v1"].into_iter().chain(path))
    }

    /// Reads what is at `path`.
    pub(crate) fn service(path: impl IntoIterator<Item = &'a str>) -> Self {
        let path = path.into_iter().collect();
        Self { method: Method::GET, path, query: vec![], headers: vec![], body: None, wait: Duration::ZERO }
    }

    /// Does what `path` below `/v1` stands for.
    pub(crate) fn post(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// Makes what is at `path` below `/v1` what is sent.
    pub(crate) fn put(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::PUT, ..Self::get(path) }
    }

    /// Changes what is at `path` below `/v1` by what is sent.
    pub(crate) fn patch(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::PATCH, ..Self::get(path) }
    }

    /// Takes away what is at `path` below `/v1`.
    pub(crate) fn delete(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// With this in the query, if there is any.
    pub(crate) fn query(mut self, name: &'a str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|it| (name, it.to_string())));
        self
    }

    /// With this header, if there is one.
    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|it| (name, it)));
        self
    }

    /// With this JSON.
    pub(crate) fn json(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The server may take this long before it answers.
    pub(crate) fn wait(self, wait: Duration) -> Self {
        let text = format!("{}ms", wait.as_millis());
        Self { wait, ..self }.query("wait", Some(text))
    }
}

impl Remote {
    /// The server that `url`, else the environment, names.
    pub(crate) fn new(url: Option<&str>, settings: &Settings) -> Result<Self, Failure> {
        let text = url.map(str::to_owned).or_else(|| settings.text(&URL));
        let base = parse(text.as_deref().unwrap_or(DEFAULT_URL))?;
        let key = settings.text(&API_KEY);
        // Another part of the program may have chosen a provider already; either will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tasklane/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Failure::new(Exit::Failed, chain(&error)))?;
        Ok(Self { http, base, key })
    }

    /// Whether the server is this machine's.
    pub(crate) fn is_this_machine(&self) -> bool {
        is_this_machine(&self.base)
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The key that is sent along.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Makes the call; an answer other than 2xx is a failure.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        let timeout = ANSWER + call.wait;
        let answer = self.request(call).timeout(timeout).send().await.map_err(|error| self.away(&error))?;
        self.taken(answer).await
    }

    /// Opens a stream of events; `None` where nothing more will come. An answer other than 2xx is a failure.
    pub(crate) async fn stream(&self, call: Call<'_>) -> Result<Option<Stream>, Failure> {
        let request = self.request(call).header("accept", "text/event-stream");
        let late = || Failure::new(Exit::Away, format!("the server at {} did not answer in time", self.url()));
        let answer = timeout(ANSWER, request.send()).await.map_err(|_| late())?.map_err(|error| self.away(&error))?;
        let type_of = answer.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
        if answer.status().is_success() && type_of.starts_with("text/event-stream") {
            return Ok(Some(Stream::new(answer)));
        }
        if answer.status().as_u16() == 204 {
            return Ok(None);
        }
        if answer.status().is_success() {
            return Err(Failure::new(Exit::Failed, "this server does not stream here")
                .remedy("run a newer server, or leave out --follow"));
        }
        self.taken(answer).await.and(Err(Failure::new(Exit::Failed, "the answer is no stream")))
    }

    /// The body of an answer that is none of failure.
    async fn taken(&self, answer: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let status = answer.status().as_u16();
        let header = |name| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (request, location) = (header("x-request-id"), header("location"));
        let body = self.read(answer).await?;
        match status {
            200..=299 => Ok(body),
            300..=399 => Err(redirected(location)),
            _ => Err(Failure::from_answer(status, &body, request.map(Into::into))),
        }
    }

    fn request(&self, call: Call<'_>) -> RequestBuilder {
        let mut request = self.http.request(call.method, self.address(&call.path, &call.query));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.header("content-type", "application/json").body(body);
        }
        request
    }

    fn address(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.away(&error))? {
            if body.len() + piece.len() > ANSWER_BYTES {
                return Err(Failure::new(Exit::Data, "the answer is longer than any this program asks for"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        let url = self.url();
        if error.is_timeout() && !error.is_connect() {
            return Failure::new(Exit::Away, format!("the server at {url} did not answer in time"))
                .remedy("try again; whether it did what was asked is not known");
        }
        let cause = if error.is_connect() {
            format!("no server answers at {url}: {}", chain(error))
        } else {
            format!("the connection to {url} broke: {}", chain(error))
        };
        Failure::new(Exit::Away, cause).remedy("start one with `tasklane dev`, or name one with --url or TASKLANE_URL")
    }
}

fn parse(text: &str) -> Result<Url, Failure> {
    let refuse = |why: &str| {
        Failure::usage(format!("{text:?} is no address of a server: {why}"))
            .remedy(format!("write it as {DEFAULT_URL}, with --url or TASKLANE_URL"))
    };
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(refuse("it begins with neither http:// nor https://")),
    }
}

/// A proxy can only be in the way there.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback())
}

fn redirected(location: Option<String>) -> Failure {
    let place = location.unwrap_or_else(|| "another place".to_owned());
    Failure::new(Exit::Failed, format!("the server sends on to {place}"))
        .remedy("name the place itself with --url or TASKLANE_URL")
}

/// The last cause of an error: those above it only repeat that a request failed.
fn chain(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The id in `text`, as the server writes it.
pub(crate) fn task_id(text: &str) -> Result<String, String> {
    read::task_id(text.trim())
        .map(|id| id.to_string())
        .ok_or_else(|| "ids look like 0198f2a4-0000-7000-8000-000000000001 (see `tasklane ls`)".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tasklane_server::{Environment, Flags};

    use super::*;

    fn remote(url: &str) -> Remote {
        Remote::new(Some(url), &Settings::default()).unwrap()
    }

    #[test]
    fn paths_and_queries_are_escaped_below_the_base() {
        let remote = remote("http://host/prefix/");
        let query = [("type", "a&b c".to_owned())];
        let url = remote.address(&["v1", "queues", "a/b:pause"], &query);
        assert_eq!(url.as_str(), "http://host/prefix/v1/queues/a%2Fb:pause?type=a%26b+c");
        assert_eq!(remote.url(), "http://host/prefix");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in ["localhost:8000", "8000", "ftp://host", "http://"] {
            let failure = Remote::new(Some(text), &Settings::default()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn the_flag_wins_over_the_environment_over_the_default() {
        let environment = Environment::from([("TASKLANE_URL", "http://there:1")]);
        let settings = Settings::without_files(&Flags::default(), &environment).unwrap();
        assert_eq!(Remote::new(Some("http://here:2"), &settings).unwrap().url(), "http://here:2");
        assert_eq!(Remote::new(None, &settings).unwrap().url(), "http://there:1");
        assert_eq!(Remote::new(None, &Settings::default()).unwrap().url(), DEFAULT_URL);
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for url in ["http://localhost:1", "http://127.0.0.1", "http://[::1]:8000", "http://127.8.8.8"] {
            assert!(is_this_machine(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(!is_this_machine(&Url::parse("http://10.0.0.1").unwrap()));
    }

    #[test]
    fn ids_are_ids() {
        assert_eq!(task_id(" 0198AAAA-0000-7000-8000-00000000000F ").unwrap(), "0198aaaa-0000-7000-8000-00000000000f");
        assert!(task_id("x:cancel").is_err());
        assert!(task_id("0198aaaa-0000-4000-8000-00000000000f").is_err(), "ids are of version 7");
    }
}
