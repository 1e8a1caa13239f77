//! The one thing that flows: a SOP Instance on its way from a sender to the storage folder. Types only.

use std::net::IpAddr;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::dicom::{SopClassUid, SopInstanceUid, TransferSyntaxUid};

/// An instance that is arriving. The data set comes in fragments; **a sender that is dropped without
/// [`Fragment::End`] means that the object was cut short.** Closing is not finishing.
#[derive(Debug)]
pub struct ObjectStream {
    /// Affected SOP Class UID of the C-STORE-RQ.
    pub class: SopClassUid,
    /// Affected SOP Instance UID of the C-STORE-RQ.
    pub instance: SopInstanceUid,
    /// The transfer syntax that was negotiated for its presentation context.
    pub transfer_syntax: TransferSyntaxUid,
    /// Where it comes from.
    pub origin: Origin,
    /// The bytes of the data set, in order.
    pub fragments: mpsc::Receiver<Fragment>,
}

/// A piece of a data set.
#[derive(Debug)]
pub enum Fragment {
    /// Bytes, as they came.
    Data(Bytes),
    /// The last-fragment bit was seen: the object is whole.
    End,
}

/// How many fragments may wait between an association and the file writer: backpressure, not a buffer.
pub const FRAGMENTS_IN_FLIGHT: usize = 8;

/// Who sent an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The configured source whose address it came from, if any.
    pub source: Option<String>,
    /// The calling AE title, as the peer gave it, padding trimmed.
    pub ae_title: String,
    /// The peer's address.
    pub address: IpAddr,
    /// Identifies the association within this process' logs and receipts.
    pub association: u64,
}

/// Who must act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The other side.
    Peer,
    /// This machine: disk, permissions, catalog, configuration.
    Local,
    /// The object itself.
    Object,
}

/// What an error means for the work at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// This study again, later.
    Retry,
    /// This study no more.
    GiveUp,
    /// The job stops until a person has mended something.
    Halt,
}
