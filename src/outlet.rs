//! The single door out: a stored or linked instance → its corrections → the encoding that the receiver takes → a stream
//! of bytes. Whoever sends an object, by whichever protocol, gets it from here.
//!
//! A thread reads ahead of the sender by a few buffers, which are used again, so that an object of any size costs the
//! same memory, and the disk works while the network does. Coded pixel data are decoded elsewhere, by whom this is told.

mod buffers;
mod decoding;
mod look;
mod pump;
mod watch;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::catalog::HeldInstance;
use crate::dataset::ReadError;
use crate::dicom::{SopInstanceUid, TransferSyntaxUid};
use crate::store::{Place, Store, StoreError};

use buffers::Buffers;
use pump::Pump;

pub use buffers::Piece;
pub use decoding::{Decodes, Pieces, can_convert};
pub use look::{Frame, HeldFrames, unreadable};

/// Pieces that may wait for the sender.
const PIECES_AHEAD: usize = 1;

/// The door. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Outlet {
    store: Store,
    buffers: Buffers,
    /// Where coded pixel data are decoded, if they are.
    decoder: Option<Arc<dyn Decodes>>,
}

/// Why an instance cannot be sent, or not to its end. The others can.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// The file is not there, damaged, or not what it was when it was linked.
    #[error("instance {instance} cannot be read")]
    Store {
        /// The instance.
        instance: SopInstanceUid,
        /// What is wrong with its file.
        source: StoreError,
    },
    /// Its bytes end too soon, or the disk does not give them.
    #[error("instance {instance} cannot be read from {place}")]
    Read {
        /// The instance.
        instance: SopInstanceUid,
        /// Its file.
        place: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It cannot be had in the transfer syntax that the receiver takes.
    #[error("instance {instance} cannot be converted from transfer syntax {from} into {to}")]
    Convert {
        /// The instance.
        instance: SopInstanceUid,
        /// How it is held.
        from: TransferSyntaxUid,
        /// How it was to be sent.
        to: TransferSyntaxUid,
        /// What is wrong with it; nothing where compressed pixel data would have to be decoded.
        source: Option<ReadError>,
    },
    /// Its pixel data cannot be decoded for a receiver that takes them no other way.
    #[error("instance {instance} cannot be decoded from transfer syntax {from} into {to}")]
    Decode {
        /// The instance.
        instance: SopInstanceUid,
        /// How it is held.
        from: TransferSyntaxUid,
        /// How it was to be sent.
        to: TransferSyntaxUid,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What it says of itself cannot be read.
    #[error("instance {instance} cannot be looked into")]
    Header {
        /// The instance.
        instance: SopInstanceUid,
        /// What is wrong with it.
        source: ReadError,
    },
    /// Its frames cannot be told apart.
    #[error("the frames of instance {instance} cannot be had one by one: {why}")]
    Frames {
        /// The instance.
        instance: SopInstanceUid,
        /// Why.
        why: &'static str,
    },
}

impl OutletError {
    /// What an administrator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            OutletError::Store { source: StoreError::LinkChanged { .. } | StoreError::Missing { .. }, .. } => {
                "bring the file back, or have `pacsferry verify` look for what else is missing"
            }
            OutletError::Store { .. } | OutletError::Read { .. } => {
                "have `pacsferry verify` look for what else is damaged, and the disk be checked"
            }
            OutletError::Header { .. } | OutletError::Frames { .. } => "fetch the instance as a whole",
            OutletError::Convert { .. } | OutletError::Decode { .. } => {
                "have the receiver accept the transfer syntax that it is held in"
            }
        }
    }
}

/// An instance on its way out.
#[derive(Debug)]
pub struct Departing {
    instance: SopInstanceUid,
    place: Place,
    ready: Option<Piece>,
    pieces: mpsc::Receiver<Result<Piece, OutletError>>,
    /// Lets it begin, where that waits until it is asked for.
    go: Option<oneshot::Sender<()>>,
    /// Its last bytes were handed over, or there are none to come.
    ended: bool,
}

impl Outlet {
    /// The door out of a storage folder.
    pub fn new(store: Store) -> Outlet {
        Outlet { store, buffers: Buffers::default(), decoder: None }
    }

    /// The same door, at which coded pixel data are decoded for who takes nothing else.
    pub fn decoding(self, decoder: impl Decodes + 'static) -> Outlet {
        Outlet { decoder: Some(Arc::new(decoder)), ..self }
    }

    /// Whether coded pixel data are decoded.
    pub fn decodes(&self) -> bool {
        self.decoder.is_some()
    }

    /// Begins to read an instance, to be sent in this transfer syntax. Has to be called within a runtime.
    pub fn open(&self, instance: HeldInstance, to: &TransferSyntaxUid) -> Departing {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let (uid, place) = (instance.instance.clone(), instance.place.clone());
        let mut departing = Departing { instance: uid, place, ready: None, pieces, go: None, ended: false };
        let (store, buffers, to) = (self.store.clone(), self.buffers.clone(), to.clone());
        let Some(decoder) = self.decoder.as_ref().filter(|_| decoding::decodes(&instance.transfer_syntax, &to)) else {
            let pump = Pump { store, buffers, instance, to, sender };
            // Ends by itself when the receiving end is dropped.
            drop(tokio::task::spawn_blocking(move || pump.run()));
            return departing;
        };
        let decoded = decoder.decode(self.clone(), instance, to, Pieces::new(buffers, sender));
        let (go, asked) = oneshot::channel();
        departing.go = Some(go);
        // An object that waits for its turn holds no worker: the one before it may need that. Ends by itself when the
        // receiving end is dropped.
        drop(tokio::spawn(async move {
            if asked.await.is_ok() {
                decoded.await;
            }
        }));
        departing
    }
}

impl Departing {
    /// Waits until its first bytes are here: what is wrong with an instance is known by then, unless its file breaks in
    /// the middle.
    pub async fn begin(&mut self) -> Result<(), OutletError> {
        if self.ready.is_none() {
            self.ready = self.piece().await?;
        }
        Ok(())
    }

    /// The next bytes of the data set; `None` after the last.
    pub async fn piece(&mut self) -> Result<Option<Piece>, OutletError> {
        if let Some(piece) = self.ready.take() {
            return Ok(Some(piece));
        }
        if self.ended {
            return Ok(None);
        }
        if let Some(go) = self.go.take() {
            // Whoever waits for it has ended only where the runtime is ending; then nothing comes.
            let _ended = go.send(());
        }
        let next = self.pieces.recv().await.unwrap_or_else(|| Err(self.cut()));
        self.ended = next.as_ref().map_or(true, |piece| piece.last);
        next.map(Some)
    }

    /// Whoever reads it came to an end before it did: what was handed over is not the whole instance.
    fn cut(&self) -> OutletError {
        let source = std::io::Error::other("reading it was given up, since the program is ending or has a fault");
        OutletError::Read { instance: self.instance.clone(), place: self.place.to_string(), source }
    }
}

#[cfg(test)]
mod tests;
