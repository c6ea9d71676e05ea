//! A client of HTTP that does as little as it can, so that it shares nothing with the server.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// However busy the machine is, an answer comes within this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends bytes and takes what comes until the other end closes.
pub(crate) fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(to);
    // The other end may have heard enough before it has heard all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

pub(crate) fn request(to: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}\r\n");
    parse(&exchange(to, text.as_bytes()))
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(to: SocketAddr, path: &str) -> Answer {
    request(to, "GET", path, "")
}

/// A server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// Server-sent events as they come.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    text: String,
    pub(crate) comments: usize,
}

impl Events {
    pub(crate) fn open(to: SocketAddr, path: &str) -> Self {
        let mut stream = connect(to);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n").expect("sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let head = head.to_lowercase();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        Self { reader, text: String::new(), comments: 0 }
    }

    /// The next event; `None` at the proper end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((text, rest)) = self.text.split_once("\n\n") {
                let (text, rest) = (text.to_owned(), rest.to_owned());
                self.text = rest;
                if text.starts_with(':') {
                    self.comments += 1;
                } else if !text.starts_with("retry:") {
                    return Some(event(&text));
                }
                continue;
            }
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("a chunk");
            let length =
                usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no length: {line:?}"));
            let mut chunk = vec![0; length + 2];
            self.reader.read_exact(&mut chunk).expect("a chunk");
            assert!(chunk.ends_with(b"\r\n"));
            if length == 0 {
                assert_eq!(self.text, "", "half an event");
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk[..length]).expect("text"));
        }
    }
}

fn event(text: &str) -> Event {
    let field = |name: &str| {
        let mut found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let value = found.next().unwrap_or_default().to_owned();
        assert!(found.next().is_none(), "twice {name}: {text}");
        value
    };
    let data = serde_json::from_str(&field("data")).unwrap_or_else(|error| panic!("{error}: {text}"));
    Event { name: field("event"), id: field("id"), data }
}
