//! chromedriver and the session in it: one request of JSON after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::ELEMENT;
use crate::support::peers::{PATIENCE, Server, free_port, listens};

/// What chromium is started with: no screen, no sandbox for root, and nothing that it would fetch for itself.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
    // It ends with its driver.
    "--remote-debugging-pipe",
];

/// A session.
pub(super) struct Driver {
    port: u16,
    session: String,
    _server: Server,
    folder: tempfile::TempDir,
}

impl Driver {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let server = Server::start(command, &folder.path().join("log"), || listens(port));
        let mut driver = Driver { port, session: String::new(), _server: server, folder };
        let profile = format!("--user-data-dir={}", driver.folder.path().join("profile").display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "script": PATIENCE.as_millis(), "pageLoad": PATIENCE.as_millis() },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": { "download.default_directory": driver.downloads(), "download.prompt_for_download": false },
            },
        } } });
        let made = request(port, "POST", "/session", &wanted).unwrap_or_else(|error| panic!("chromium: {error}"));
        driver.session = made["sessionId"].as_str().expect("a session").to_owned();
        driver
    }

    /// Where downloads go.
    pub(super) fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// One command; what went wrong, in the driver's words.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        request(self.port, method, &format!("/session/{}{path}", self.session), body)
    }

    /// One command that has to work.
    pub(super) fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
    }

    /// A command of the browser's own protocol.
    pub(super) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.must("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// All elements of a CSS selector, or of an XPath, which begins with `//`.
    pub(super) fn all(&self, what: &str) -> Vec<String> {
        let using = if what.starts_with("//") { "xpath" } else { "css selector" };
        let found = self.must("POST", "/elements", &json!({ "using": using, "value": what }));
        let found = found.as_array().expect("a list of elements");
        found.iter().map(|element| element[ELEMENT].as_str().expect("an element").to_owned()).collect()
    }

    /// What was logged since the last time.
    pub(super) fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.ask("POST", "/se/log", &json!({ "type": kind }));
        log.ok().and_then(|log| log.as_array().cloned()).unwrap_or_default()
    }
}

/// One request; the value of the answer.
fn request(port: u16, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let whole = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE * 2))?;
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        // It may leave the connection open, so that only its head says how long the answer is.
        let mut stream = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    let answer = whole().map_err(|error| format!("chromedriver: {error}"))?;
    let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| format!("no JSON: {error}"))?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
        None => Ok(value),
    }
}
