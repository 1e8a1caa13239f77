//! We ask: C-ECHO, C-FIND, C-MOVE and C-GET at a source, and C-STORE wherever objects shall go, as protocol. What an answer means for a study is decided
//! elsewhere; here it is only told, whole and as it came.
//!
//! Every wait has an end, a cancel reaches the source within a second, and nothing that is optional in DICOM
//! (sub-operation counters, pending responses, identifiers in responses) is needed.

mod echo;
mod error;
mod find;
mod get;
mod operation;
pub mod quirks;
mod report;
mod retrieve;
mod session;
pub mod store;
mod watch;
mod worklist;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::assoc::Throttle;
use crate::config::{ClientTls, Login, Peer};
use crate::dataset::CharacterSet;
use crate::dicom::{AeTitle, Status};
use crate::object::ObjectStream;

pub use echo::{EchoReport, echo};
pub use error::ScuError;
pub use find::{Find, FindEnd};
pub use report::{Report, Told, report, report_on};
pub use retrieve::{Limits, Progress, Retrieval, Retrieve, RetrieveEnd};
pub use session::{MOST_STORAGE_CONTEXTS, Purpose, Service, SourceSession};
pub use worklist::worklist_identifier;

/// How long a source has to end an operation after a C-CANCEL; then the association is aborted.
pub const CANCEL_PATIENCE: Duration = Duration::from_millis(900);

/// Whom we ask, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The configured name of the source.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The AE title of the source.
    pub called: AeTitle,
    /// Ours.
    pub calling: AeTitle,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long negotiation, a C-ECHO or the taking of a request may take.
    pub respond: Duration,
    /// Decodes the texts of answers that name no Specific Character Set.
    pub default_charset: CharacterSet,
    /// Limits what a C-GET reads.
    pub throttle: Option<Arc<Throttle>>,
    /// How the connection is secured; `None` is plain DICOM.
    pub tls: Option<Arc<ClientTls>>,
    /// Who we say we are; needs `tls`.
    pub identity: Option<Arc<Login>>,
}

impl Target {
    /// A node of the hospital, called as this AE title.
    pub fn of_peer(peer: &Peer, calling: AeTitle, connect: Duration, respond: Duration) -> Self {
        Target {
            name: peer.ae_title.to_string(),
            host: peer.address.host.clone(),
            port: peer.address.port,
            called: peer.ae_title.clone(),
            calling,
            connect,
            respond,
            default_charset: CharacterSet::ascii(),
            throttle: None,
            tls: peer.tls.clone(),
            identity: peer.identity.clone(),
        }
    }
}

/// What a [`Store`] yields: the status for the C-STORE response and an Error Comment.
pub type Stored = Pin<Box<dyn Future<Output = (Status, Option<String>)> + Send>>;

/// Takes the objects of a C-GET. It runs while the object is still being read, and must consume the stream or drop it.
pub type Store = Arc<dyn Fn(ObjectStream) -> Stored + Send + Sync>;

#[cfg(test)]
mod tests;
