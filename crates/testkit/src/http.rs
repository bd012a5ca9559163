//! A plain blocking HTTP/1.1 client that sends exactly what it is told, well formed or not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for an answer before it fails.
pub const PATIENCE: Duration = Duration::from_secs(70);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why} in {} {}", self.status, self.text()))
    }

    /// The same reply, after asserting its status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The same reply, after asserting that it is a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let got = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{got}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{got}");
        let body = self.json();
        assert_eq!(body["code"], code, "{got}");
        assert_eq!(body["status"], status, "{got}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(body[member].is_string(), "a problem without {member}: {got}");
        }
        self
    }
}

/// One connection, kept open between requests.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Sends a whole request and reads the whole answer. `headers` are added to Host and Content-Length.
    ///
    /// # Errors
    /// The connection broke before the answer was whole.
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.send(&[head.as_bytes(), body].concat())?;
        self.receive()
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn json(&mut self, method: &str, path: &str, body: &Value) -> io::Result<Reply> {
        self.call(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Sends these bytes, whatever they are.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// The connection broke before it was whole, or what came is not HTTP.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(|| odd(&status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| odd(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        reply.body = self.body(&reply)?;
        Ok(reply)
    }

    /// The socket itself, for clients that stall or vanish.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    fn body(&mut self, reply: &Reply) -> io::Result<Vec<u8>> {
        if matches!(reply.status, 100..200 | 204 | 304) {
            return Ok(Vec::new());
        }
        if reply.header("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        match reply.header("content-length") {
            Some(text) => self.exactly(text.parse().map_err(|_| odd(text))?),
            None => {
                let mut body = Vec::new();
                self.stream.read_to_end(&mut body)?;
                Ok(body)
            }
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).map_err(|_| odd(&line))?;
            body.extend(self.exactly(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| odd("bytes that are not UTF-8"))
    }
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}
