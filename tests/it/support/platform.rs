//! An AI platform: a real HTTP server that takes requests to scan a study again, and can be told to misbehave.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use tokio_rustls::rustls;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::Identity;

/// What it does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Answers with this status, further header lines and body.
    Says(u16, &'static str, &'static str),
    /// Takes the request and answers nothing, as long as the other side waits.
    Hangs,
    /// Ends the connection in the middle of its answer.
    Breaks,
    /// Answers something that is no HTTP.
    Babbles,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Request line and headers.
    pub(crate) head: String,
    /// The document.
    pub(crate) body: Value,
}

/// What platforms on one port were asked, whatever became of it.
pub(crate) type Requests = Arc<Mutex<Vec<Asked>>>;

/// A platform that listens until it is dropped; its connections end with it.
pub(crate) struct Platform {
    port: u16,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    listening: Option<JoinHandle<()>>,
}

impl Platform {
    /// One that does these things with the first requests, and accepts all others.
    pub(crate) fn start(port: u16, replies: &[Reply], requests: &Requests) -> Self {
        Self::start_with(port, replies, requests, None)
    }

    /// The same over TLS.
    pub(crate) fn secure(port: u16, own: &Identity, requests: &Requests) -> Self {
        let chain = CertificateDer::pem_file_iter(&own.cert).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::start_with(port, &[], requests, Some(Arc::new(tls)))
    }

    fn start_with(port: u16, replies: &[Reply], requests: &Requests, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (stop, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, opened, requests) = (Arc::clone(&stop), Arc::clone(&open), Arc::clone(requests));
        let replies = Arc::new(Mutex::new(VecDeque::from(replies.to_vec())));
        let listening = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for socket in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let socket = socket.unwrap();
                opened.lock().unwrap().push(socket.try_clone().unwrap());
                let (requests, replies, tls) = (Arc::clone(&requests), Arc::clone(&replies), tls.clone());
                serving.push(std::thread::spawn(move || match tls {
                    None => serve(socket, &replies, &requests),
                    Some(tls) => {
                        let connection = rustls::ServerConnection::new(tls).unwrap();
                        serve(rustls::StreamOwned::new(connection, socket), &replies, &requests);
                    }
                }));
            }
            serving.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Platform { port, stop, open, listening: Some(listening) }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for socket in self.open.lock().unwrap().iter() {
            let _gone = socket.shutdown(std::net::Shutdown::Both);
        }
        // The listener notices.
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(listening) = self.listening.take() {
            listening.join().unwrap();
        }
    }
}

/// One request and what is done with it. Whoever only looks whether somebody is there says nothing.
fn serve(stream: impl Read + Write, replies: &Mutex<VecDeque<Reply>>, requests: &Requests) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.expect("a Content-Length")];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    requests.lock().unwrap().push(Asked { head, body: serde_json::from_slice(&body).expect("a JSON document") });
    let reply = replies.lock().unwrap().pop_front().unwrap_or(Reply::Says(202, "", ""));
    let answer = match reply {
        Reply::Says(status, headers, body) => {
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        }
        Reply::Breaks => "HTTP/1.1 202 Acc".to_owned(),
        Reply::Babbles => "220 smtp.example.org ready\r\n\r\n".to_owned(),
        Reply::Hangs => {
            // Until the other side goes.
            let _ended = stream.read_to_end(&mut Vec::new());
            return;
        }
    };
    // The other side may have lost patience.
    let _written = stream.get_mut().write_all(answer.as_bytes()).and_then(|()| stream.get_mut().flush());
}
