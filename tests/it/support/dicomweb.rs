//! A program that speaks DICOMweb: by hand, so that it may be as rude as it likes, and by `dicomweb-client`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;

use super::peers::{Ferry, PATIENCE, finish, listens, python, text, until};

/// An account that comes with a token.
pub(crate) struct Program {
    port: u16,
    pub(crate) token: String,
}

/// What was answered.
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Program {
    /// One of an account with a role; `serve` has to run.
    pub(crate) fn new(ferry: &Ferry, name: &str, role: &str) -> Program {
        until("the console", PATIENCE, || listens(ferry.web).then_some(()));
        ferry.json(&["user", "add", name, "--role", role, "--json"]);
        let made = ferry.json(&["user", "token", name, "--json"]);
        Program { port: ferry.web, token: made["token"].as_str().unwrap().to_owned() }
    }

    /// The beginning of the addresses.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}/dicom-web", self.port)
    }

    /// A request without a body, below the root of the services.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Told {
        self.send("GET", path, headers, b"")
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Told {
        let known = format!("Authorization: Bearer {}\r\n", self.token);
        Told::of(self.port, method, path, &(known + headers), body)
    }

    /// Brings files in one request.
    pub(crate) fn store(&self, path: &str, files: &[Vec<u8>]) -> Told {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"\r\n--mark\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(file);
        }
        body.extend_from_slice(b"\r\n--mark--\r\n");
        let kind = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=mark\r\n";
        self.send("POST", path, kind, &body)
    }

    /// What `dicomweb-client` makes of it; see `peers/dicomweb.py`.
    pub(crate) fn client(&self, what: &str, files: &[PathBuf]) -> Value {
        let mut command = python("dicomweb.py");
        command.args([&self.base(), &self.token, what]).args(files);
        let done = finish(command, PATIENCE * 3);
        assert!(done.status.success(), "dicomweb-client: {}", text(&done.stderr));
        serde_json::from_slice(&done.stdout).expect("what was seen")
    }
}

impl Told {
    pub(crate) fn of(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> Told {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!(
            "{method} /dicom-web{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{length}Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // Who is refused early may not be listened to any more.
        let _cut = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let at = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let head = text(&answer[..at]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer[at + 4..].to_vec();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Told { status, head, body: if chunked { unchunked(&body) } else { body } }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", text(&self.body)))
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = body.windows(2).position(|w| w == b"\r\n") {
        let length = usize::from_str_radix(&text(&body[..at]), 16).expect("the length of a chunk");
        whole.extend_from_slice(&body[at + 2..at + 2 + length]);
        body = &body[at + 4 + length..];
        if length == 0 {
            return whole;
        }
    }
    panic!("the answer was broken off");
}
