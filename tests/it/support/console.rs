//! A browser for the console, without a screen.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::peers::{Ferry, PATIENCE, listens, until};

/// The password that every account of the tests chooses.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A browser, or a program with a token.
pub(crate) struct Browser {
    pub(crate) port: u16,
    /// The header by which it is known.
    pub(crate) known: String,
    pub(crate) csrf: String,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(port: u16) -> Self {
        until("the console", PATIENCE, || listens(port).then_some(()));
        Browser { port, known: String::new(), csrf: String::new() }
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: 127.0.0.1:{}\r\n", self.port) };
        let length = if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let known = &self.known;
        let request =
            format!("{method} {path} HTTP/1.1\r\n{host}{known}{headers}{length}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, value) in form.iter().chain([&("csrf", self.csrf.as_str())]) {
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            body += &format!("{name}={value}&");
        }
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", path, form, body.trim_end_matches('&'))
    }

    pub(crate) fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let answer = self.post("/sign-in", &[("name", name), ("password", password)]);
        self.keep(&answer);
        answer
    }

    /// Signs in with a password that was made, and chooses another one.
    pub(crate) fn begin(&mut self, name: &str, password: &str) {
        assert_eq!(self.sign_in(name, password).header("location"), "/password");
        assert_eq!(self.get("/jobs").header("location"), "/password", "nothing before that");
        let chosen = [("old", password), ("new", PASSWORD), ("again", PASSWORD)];
        let answer = self.post("/password", &chosen);
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{}", answer.body);
        self.keep(&answer);
    }

    /// Takes the cookie of an answer, and what forms have to bring along.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        if answer.status != 303 {
            return;
        }
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        self.known = format!("Cookie: {cookie}\r\n");
        let page = self.get("/password").body;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        self.csrf = rest.split('"').next().unwrap().to_owned();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        // Chunked: the document is what stands between the braces or brackets.
        let from = self.body.find(['{', '[']).unwrap_or_else(|| panic!("no JSON: {}", self.body));
        let to = self.body.rfind(['}', ']']).unwrap();
        serde_json::from_str(&self.body[from..=to]).unwrap()
    }
}

/// The password of the first account, which is told once.
pub(crate) fn first_password(ferry: &Ferry) -> String {
    until("the first account", PATIENCE, || {
        let log = ferry.served();
        let (_, rest) = log.split_once("with the password\n\n")?;
        let (line, _) = rest.split_once('\n')?;
        Some(line.trim().to_owned())
    })
}

/// A browser of an account with these roles.
pub(crate) fn signed_in(ferry: &Ferry, name: &str, role: &str) -> Browser {
    let made = ferry.json(&["user", "add", name, "--role", role, "--json"]);
    let mut browser = Browser::new(ferry.web);
    browser.begin(name, made["password"].as_str().unwrap());
    browser
}
