//! Reads one instance, on a thread that may wait for the disk and for the sender.

use std::io::{self, Read};

use tokio::sync::mpsc;

use super::buffers::{Buffers, Piece};
use super::watch::{Watch, watched};
use super::{OutletError, can_convert};
use crate::catalog::HeldInstance;
use crate::dataset::{ReadError, amend, convert, read_error};
use crate::dicom::TransferSyntaxUid;
use crate::store::{Digest, Store, StoreError};

/// An instance that is to be read.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) store: Store,
    pub(super) buffers: Buffers,
    pub(super) instance: HeldInstance,
    pub(super) to: TransferSyntaxUid,
    pub(super) sender: mpsc::Sender<Result<Piece, OutletError>>,
}

impl Pump {
    /// Reads it to its end, or until nobody listens any more.
    pub(super) fn run(&self) {
        if let Err(error) = self.pump() {
            // Nobody there to be told is nobody to mind.
            let _gone = self.sender.blocking_send(Err(error));
        }
    }

    fn pump(&self) -> Result<(), OutletError> {
        let converts = self.instance.transfer_syntax != self.to;
        if converts {
            if !can_convert(&self.instance.transfer_syntax, &self.to, false) {
                return Err(self.unconvertible(None));
            }
            // What cannot be converted is known before the first byte of it is sent: in the middle of a message the
            // association would have to be aborted.
            if self.instance.digest.is_some() {
                let found = self.store.digest(&self.instance.place);
                self.compare(found.map_err(|source| self.store_error(source))?.0)?;
            }
            let (mut reader, _) = self.reader()?;
            io::copy(&mut reader, &mut io::sink()).map_err(|error| self.failed(error))?;
        }
        let (mut reader, watch) = self.reader()?;
        let mut piece = self.fill(&mut reader)?;
        loop {
            // Which piece is the last shows when there is no other.
            let next = if piece.is_full() { Some(self.fill(&mut reader)?) } else { None };
            let next = next.filter(|next| !next.is_empty());
            if next.is_none() {
                // What was converted has been compared already.
                let (read, digest) = watch.end().map_err(|error| self.failed(error))?;
                if !converts && read != self.instance.length {
                    return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
                }
                let unchanged = self.store.check_unchanged(&self.instance.place, watch.file());
                unchanged.map_err(|source| self.store_error(source))?;
                digest.map_or(Ok(()), |digest| self.compare(digest))?;
                piece.last = true;
            }
            let sent = self.sender.blocking_send(Ok(piece));
            match next {
                Some(next) if sent.is_ok() => piece = next,
                _ => return Ok(()),
            }
        }
    }

    /// The data set as it leaves: the file, and where they come, its corrections, and then its encoding.
    fn reader(&self) -> Result<(Box<dyn Read + Send>, Watch), OutletError> {
        let instance = &self.instance;
        let opened = self.store.open_data_set(&instance.place);
        let (file, length) = opened.map_err(|source| self.store_error(source))?;
        if length != instance.length {
            return Err(self.store_error(StoreError::Missing { place: instance.place.clone() }));
        }
        let hashes = instance.digest.is_some() && instance.transfer_syntax == self.to;
        let (stored, watch) = watched(file, length, hashes).map_err(|error| self.failed(error))?;
        let corrected = self.corrected(stored)?;
        let reader = if instance.transfer_syntax == self.to {
            corrected
        } else {
            convert(corrected, &instance.transfer_syntax, &self.to).ok_or_else(|| self.unconvertible(None))?
        };
        Ok((reader, watch))
    }

    /// Where corrections are applied: to what is stored, before it is converted.
    fn corrected<R: Read + Send + 'static>(&self, stored: R) -> Result<Box<dyn Read + Send>, OutletError> {
        let HeldInstance { transfer_syntax, amendments, .. } = &self.instance;
        amend(stored, transfer_syntax, amendments).map_err(|error| self.unconvertible(Some(error)))
    }

    /// Whether the bytes are those that were filed, where that is known.
    fn compare(&self, found: Digest) -> Result<(), OutletError> {
        if self.instance.digest.is_none_or(|filed| filed == found) {
            return Ok(());
        }
        let what = "its data set has other bytes than when it was filed".into();
        Err(self.store_error(StoreError::Damaged { place: self.instance.place.to_string(), what }))
    }

    fn fill(&self, reader: &mut dyn Read) -> Result<Piece, OutletError> {
        self.buffers.fill(reader).map_err(|error| self.failed(error))
    }

    fn store_error(&self, source: StoreError) -> OutletError {
        OutletError::Store { instance: self.instance.instance.clone(), source }
    }

    fn unconvertible(&self, source: Option<ReadError>) -> OutletError {
        OutletError::Convert {
            instance: self.instance.instance.clone(),
            from: self.instance.transfer_syntax.clone(),
            to: self.to.clone(),
            source,
        }
    }

    fn failed(&self, error: io::Error) -> OutletError {
        match read_error(error) {
            Ok(error) => self.unconvertible(Some(error)),
            Err(source) => OutletError::Read {
                instance: self.instance.instance.clone(),
                place: self.instance.place.to_string(),
                source,
            },
        }
    }
}
