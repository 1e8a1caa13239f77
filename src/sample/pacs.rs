//! Starting, changing, watching and stopping a sample PACS.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::log::{Entry, Event, Request};
use super::profile::Profile;
use super::session;
use super::shared::Shared;
use crate::dicom::{AeTitle, SopInstanceUid};

/// A small PACS on a port of the loopback interface, in a thread with a runtime of its own, so that it can die without
/// harm to anybody else's tasks. Dropping it is that death.
#[derive(Debug)]
pub struct SamplePacs {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl SamplePacs {
    /// Starts one on a free port. `destinations` are the AE titles that it may send to.
    pub fn start(
        archive: Archive,
        profile: Profile,
        ae_title: AeTitle,
        destinations: HashMap<AeTitle, SocketAddr>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(archive, profile, ae_title, destinations));
        let mut pacs = SamplePacs { shared, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), running: None };
        pacs.restart()?;
        Ok(pacs)
    }

    /// Where it listens, also while it is stopped.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its AE title.
    pub fn ae_title(&self) -> &AeTitle {
        &self.shared.ae_title
    }

    /// What it holds.
    pub fn archive(&self) -> &Archive {
        &self.shared.archive
    }

    /// Dies: every connection is cut, whatever was under way on it.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            // A panic in the thread was printed; there is nothing left to stop.
            let _ = running.thread.join();
        }
    }

    /// Comes back on the same port, remembering what it knew.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sample-pacs")
            .enable_all()
            .build()?;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        // The connections that were cut when it died may still hold the port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(128)?;
        let listener = std::net::TcpListener::from(socket);
        self.address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (shared, stopped) = (Arc::clone(&self.shared), stop.clone());
        let thread = std::thread::Builder::new().name("sample-pacs".to_owned()).spawn(move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        stopped.run_until_cancelled(session::listen(listener, shared)).await;
                    }
                    Err(error) => tracing::error!(%error, "the sample PACS cannot listen"),
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(2));
        })?;
        self.running = Some(Running { stop, thread });
        Ok(())
    }

    /// Changes its behaviour, for the requests to come.
    pub fn change(&self, change: impl FnOnce(&mut Profile)) {
        self.shared.change(change);
    }

    /// Registers a move destination, or moves it to another address.
    pub fn register(&self, ae_title: &AeTitle, address: SocketAddr) {
        self.shared.register(ae_title, address);
    }

    /// Takes a move destination out.
    pub fn forget(&self, ae_title: &AeTitle) {
        self.shared.forget(ae_title);
    }

    /// All that it saw and did, oldest first; the last 200,000 of it.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.log().entries()
    }

    /// The retrieves that were asked for.
    pub fn retrieves(&self) -> Vec<Request> {
        let requests = |entry: Entry| match entry.event {
            Event::Retrieve(request) => Some(request),
            _ => None,
        };
        self.log().into_iter().filter_map(requests).collect()
    }

    /// The C-CANCEL requests that came.
    pub fn cancels(&self) -> usize {
        self.log().iter().filter(|entry| entry.event == Event::Cancel).count()
    }

    /// How often each object was sent, whatever was answered.
    pub fn sent(&self) -> HashMap<SopInstanceUid, usize> {
        let mut sent = HashMap::new();
        for entry in self.log() {
            if let Event::Stored { instance, .. } = entry.event {
                *sent.entry(instance).or_default() += 1;
            }
        }
        sent
    }

    /// How many objects were sent, copies included.
    pub fn objects_sent(&self) -> usize {
        self.shared.log().sent()
    }

    /// How many associations of peers are open.
    pub fn associations(&self) -> usize {
        self.shared.log().open()
    }

    /// The most associations of peers that were open at once.
    pub fn most_associations(&self) -> usize {
        self.shared.log().most_open()
    }

    /// How many associations to destinations are open.
    pub fn store_associations(&self) -> usize {
        self.shared.log().stores()
    }

    /// The most associations to destinations that were open at once.
    pub fn most_store_associations(&self) -> usize {
        self.shared.log().most_stores()
    }
}

impl Drop for SamplePacs {
    fn drop(&mut self) {
        self.stop();
    }
}
