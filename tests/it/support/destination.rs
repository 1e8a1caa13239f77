//! A move destination that does as it is told, and remembers what it heard.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pacsferry::assoc::{AcceptPolicy, Decision, accept};
use pacsferry::dicom::Status;
use pacsferry::dimse::{Command, CommandField, Session};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::peers::PATIENCE;

/// What to do with an object that came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Answer(u16),
    Abort,
}

/// A listener on loopback; it ends when it is dropped.
pub(crate) struct Destination {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Command>>>,
    associations: Arc<AtomicUsize>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

type Judge = Arc<dyn Fn(usize) -> Verdict + Send + Sync>;

impl Destination {
    /// Takes everything; `judge` says what becomes of each object, by how many came before.
    pub(crate) fn start(judge: impl Fn(usize) -> Verdict + Send + Sync + 'static) -> Self {
        let (heard, associations) = (Arc::<Mutex<Vec<Command>>>::default(), Arc::<AtomicUsize>::default());
        let stop = CancellationToken::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let (heard_there, count, stopped) = (Arc::clone(&heard), Arc::clone(&associations), stop.clone());
        let judge: Judge = Arc::new(judge);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let listening = async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                    let policy = AcceptPolicy {
                        ae_titles: Vec::new(),
                        max_pdu: 16 * 1024,
                        accept_scp_role: false,
                        tls: None,
                        authenticate: None,
                        choose: Arc::new(|_| Decision::Accept(Box::new(|offered| offered.accept()))),
                    };
                    // A peer that only looks whether somebody listens is no matter.
                    if let Ok(association) = accept(socket, &policy).await {
                        take(Session::new(association), &heard_there, &judge).await;
                    }
                }
            };
            runtime.block_on(async { stopped.run_until_cancelled(listening).await });
        });
        Destination { port, heard, associations, stop, thread: Some(thread) }
    }

    /// The C-STORE-RQs that came, in order.
    pub(crate) fn heard(&self) -> Vec<Command> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn associations(&self) -> usize {
        self.associations.load(Ordering::Relaxed)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn take(mut session: Session, heard: &Mutex<Vec<Command>>, judge: &Judge) {
    while let Ok(Some((context, command))) = session.receive(PATIENCE).await {
        assert_eq!(command.field, CommandField::CStoreRq);
        if session.discard_data(PATIENCE).await.is_err() {
            return;
        }
        let number = {
            let mut heard = heard.lock().unwrap();
            heard.push(command.clone());
            heard.len() - 1
        };
        match judge(number) {
            Verdict::Abort => return session.abort().await,
            Verdict::Answer(status) => {
                let response = Command::response(&command, Status(status));
                if session.send(context, &response, None, PATIENCE).await.is_err() {
                    return;
                }
            }
        }
    }
}
