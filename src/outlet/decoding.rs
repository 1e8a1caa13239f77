//! What coded pixel data need on their way out to who takes none: who decodes them, and what can be had of what.

use std::fmt::Debug;
use std::io;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::buffers::{Buffers, Piece};
use super::{Outlet, OutletError};
use crate::catalog::HeldInstance;
use crate::dataset::is_native;
use crate::dicom::{TransferSyntaxUid, uids};

/// Whoever decodes pixel data. This layer knows no decoder, and those know how objects leave.
pub trait Decodes: Debug + Send + Sync {
    /// Hands the data set over in a native transfer syntax, with its corrections. `outlet` has it as it is held.
    fn decode(
        &self,
        outlet: Outlet,
        instance: HeldInstance,
        to: TransferSyntaxUid,
        pieces: Pieces,
    ) -> BoxFuture<'static, ()>;
}

/// Where the bytes of a data set go. One piece is held back, so that the last can be told from the others.
#[derive(Debug)]
pub struct Pieces {
    buffers: Buffers,
    sender: mpsc::Sender<Result<Piece, OutletError>>,
    held: Option<Piece>,
}

impl Pieces {
    pub(super) fn new(buffers: Buffers, sender: mpsc::Sender<Result<Piece, OutletError>>) -> Pieces {
        Pieces { buffers, sender, held: None }
    }

    /// Resolves when nobody takes them any more.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }

    /// Hands some bytes over; where nobody takes them, nothing comes of it.
    pub async fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let piece = self.buffers.fill(&mut bytes)?;
            if let Some(before) = self.held.replace(piece) {
                let _gone = self.sender.send(Ok(before)).await;
            }
        }
        Ok(())
    }

    /// Says that there are no more, or why.
    pub async fn end(mut self, ended: Result<(), OutletError>) {
        let last = match (ended, self.held.take()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(mut piece)) => {
                piece.last = true;
                Ok(piece)
            }
            (Ok(()), None) => return,
        };
        let _gone = self.sender.send(last).await;
    }
}

/// Whether what is held in the one transfer syntax can be sent in the other, with its pixel data decoded or without.
pub fn can_convert(from: &TransferSyntaxUid, to: &TransferSyntaxUid, decoding: bool) -> bool {
    let native = is_native(from) && is_native(to) && to.as_str() != uids::DEFLATED_LE;
    from == to || native || (decoding && decodes(from, to))
}

/// Whether a coded transfer syntax can be decoded into a native one: RLE, JPEG, JPEG-LS, JPEG 2000 and its high-throughput
/// form, as far as their decoders know them.
pub(super) fn decodes(from: &TransferSyntaxUid, to: &TransferSyntaxUid) -> bool {
    let coded = match from.as_str().strip_prefix("1.2.840.10008.1.2.") {
        Some("5") => true,
        Some(other) => matches!(
            other.strip_prefix("4."),
            Some(
                "50" | "51"
                    | "53"
                    | "55"
                    | "57"
                    | "70"
                    | "80"
                    | "81"
                    | "90"
                    | "91"
                    | "92"
                    | "93"
                    | "201"
                    | "202"
                    | "203"
            )
        ),
        None => false,
    };
    coded && is_native(to) && to.as_str() != uids::DEFLATED_LE
}
