//! A syslog collector: takes frames by octet counting, over TCP or whatever a connection is wrapped into.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Turns what was accepted into what is read; `None` when that fails.
pub(crate) type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Read + Send>> + Send + Sync>;

/// A collector that listens until it is dropped; its connections end with it.
pub(crate) struct Collector {
    port: u16,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    listening: Option<JoinHandle<()>>,
}

/// The messages that collectors on one port got, in their order.
pub(crate) type Inbox = Arc<Mutex<Vec<String>>>;

impl Collector {
    pub(crate) fn start(port: u16, wrap: Wrap, inbox: &Inbox) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (stop, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, opened, inbox) = (Arc::clone(&stop), Arc::clone(&open), Arc::clone(inbox));
        let listening = std::thread::spawn(move || {
            let mut reading = Vec::new();
            for socket in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let socket = socket.unwrap();
                opened.lock().unwrap().push(socket.try_clone().unwrap());
                let (wrap, inbox) = (Arc::clone(&wrap), Arc::clone(&inbox));
                reading.push(std::thread::spawn(move || {
                    if let Some(connection) = wrap(socket) {
                        read(connection, &inbox);
                    }
                }));
            }
            reading.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Collector { port, stop, open, listening: Some(listening) }
    }

    /// A collector of plain TCP.
    pub(crate) fn plain(port: u16, inbox: &Inbox) -> Self {
        Self::start(port, Arc::new(|socket| Some(Box::new(socket) as Box<dyn Read + Send>)), inbox)
    }
}

impl Drop for Collector {
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

/// Reads frames until the connection ends, wherever that is.
fn read(connection: Box<dyn Read + Send>, inbox: &Inbox) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = Vec::new();
        match reader.read_until(b' ', &mut length) {
            Ok(0) | Err(_) => return,
            Ok(_) if length.last() != Some(&b' ') => return,
            Ok(_) => {}
        }
        let length = std::str::from_utf8(&length).unwrap().trim_end().parse().expect("MSG-LEN");
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return;
        }
        inbox.lock().unwrap().push(String::from_utf8(message).unwrap());
    }
}
