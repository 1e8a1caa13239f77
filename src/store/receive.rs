//! From the stream to the incoming file: written as it comes, digested on the way, its header read from the first bytes.

use std::fs::File;
use std::io::{self, BufReader, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc::Receiver;

use super::error::{Doing, is_full};
use super::incoming::{Content, Held, PartFile, ProcessFolder};
use super::manifest::OriginText;
use super::os::start_writing_out;
use super::source::unreadable;
use super::{Digest, Incoming, Store, StoreError};
use crate::dataset::{CharacterSet, Header, Scan, ScanOutcome, scan_header, write_part10_head};
use crate::dicom::{
    Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, Uid, uids,
};
use crate::failpoint;
use crate::object::{FRAGMENTS_IN_FLIGHT, Fragment, ObjectStream, Origin};

/// How much is gathered before a thread is asked to write. At least what a header usually takes, since it is read from
/// these bytes.
const GATHERED: usize = 128 * 1024;
/// An object of this size is held in memory until it is settled: whoever makes it durable writes it too, and it
/// changes hands once instead of thrice. The permits of the intake bound how many there are: 16 MiB of them at most.
pub(super) const HELD: u64 = 64 * 1024;
/// So much of a large object is sent to the disk at once while the rest arrives.
const WRITE_OUT: u64 = 2 * 1024 * 1024;

impl Store {
    /// Takes an object in. It is whole when this returns, and not durable; a small one is not even on disk
    /// ([`Store::put_down`]).
    ///
    /// When the sender goes away before [`Fragment::End`], or the disk has no room, nothing is left behind.
    pub async fn receive(&self, mut stream: ObjectStream, charset: CharacterSet) -> Result<Incoming, StoreError> {
        self.check_room()?;
        let (first, whole) = gather(&mut stream.fragments).await?;
        let length = first.iter().map(|bytes| bytes.len() as u64).sum();
        if whole
            && length <= HELD
            && let Some(filing) = self.0.filing.get()
        {
            return self.hold(Arc::clone(&filing.process), stream, first, length, &charset);
        }
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.write(stream, first, whole, &charset)).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down, and with it the association.
            Err(_) => Err(StoreError::CutShort),
        }
    }

    /// Keeps a small object in memory.
    fn hold(
        &self,
        process: Arc<ProcessFolder>,
        stream: ObjectStream,
        fragments: Vec<Bytes>,
        length: u64,
        charset: &CharacterSet,
    ) -> Result<Incoming, StoreError> {
        self.root().check_room(length)?;
        let head = Bytes::from(head_of(&stream.class, &stream.instance, &stream.transfer_syntax, &stream.origin)?);
        let mut hasher = blake3::Hasher::new();
        for bytes in &fragments {
            hasher.update(bytes);
        }
        let scan = scan_header(Fragments::of(&fragments), &stream.transfer_syntax, true, charset);
        let arrived = Arrived { digest: Some(hasher.finalize().into()), length, file_size: head.len() as u64 + length };
        let mut pieces = vec![head];
        pieces.extend(fragments);
        Ok(arrived.incoming(stream, scan, Content::Held(Held { process, pieces })))
    }

    /// Writes the object, in the thread that is its own until it is whole.
    fn write(
        &self,
        mut stream: ObjectStream,
        first: Vec<Bytes>,
        whole: bool,
        charset: &CharacterSet,
    ) -> Result<Incoming, StoreError> {
        let head = Bytes::from(head_of(&stream.class, &stream.instance, &stream.transfer_syntax, &stream.origin)?);
        let mut writer = Writer::new(self, self.process()?, head)?;
        writer.write(first.clone())?;
        failpoint!("receive-first");
        let mut scan = scan_header(Fragments::of(&first), &stream.transfer_syntax, whole, charset);
        drop(first);
        if !whole {
            writer.drain(&mut stream.fragments)?;
        }
        failpoint!("receive-written");
        if !whole && matches!(scan.outcome, ScanOutcome::NeedMore) {
            scan = scan_file(writer.part.file(), writer.head, &stream.transfer_syntax, charset);
        }
        let Writer { part, hasher, length, head, .. } = writer;
        let arrived = Arrived { digest: Some(hasher.finalize().into()), length, file_size: head + length };
        Ok(arrived.incoming(stream, scan, Content::Part(part)))
    }

    /// Writes an object that is held in memory to the incoming folder; any other one is there. Blocking.
    pub fn put_down(&self, incoming: &mut Incoming) -> Result<(), StoreError> {
        let Content::Held(Held { process, pieces }) = &mut incoming.content else { return Ok(()) };
        let part = self.write_part(process, pieces)?;
        incoming.content = Content::Part(part);
        failpoint!("receive-put-down");
        Ok(())
    }
}

impl Store {
    /// Writes what is in memory into an incoming file.
    pub(super) fn write_part(
        &self,
        process: &Arc<ProcessFolder>,
        pieces: &mut Vec<Bytes>,
    ) -> Result<PartFile, StoreError> {
        let part = process.new_part().map_err(|error| self.or_full(error))?;
        let written = write_all(part.file(), pieces);
        written.map_err(|error| self.or_full(StoreError::io("write the incoming file", part.name(), error)))?;
        Ok(part)
    }
}

/// What is known of an object's bytes once they are all here.
struct Arrived {
    digest: Option<Digest>,
    length: u64,
    file_size: u64,
}

impl Arrived {
    fn incoming(self, stream: ObjectStream, scan: Scan, content: Content) -> Incoming {
        let Arrived { digest, length, file_size } = self;
        let ObjectStream { class, instance, transfer_syntax, origin, .. } = stream;
        let Scanned { identity, header, outcome, mismatch } = Scanned::of(scan, class, instance);
        Incoming {
            identity,
            header,
            scan: outcome,
            digest,
            length,
            file_size,
            transfer_syntax,
            origin,
            mismatch,
            set_aside: None,
            restores: None,
            content,
        }
    }
}

/// What the header told, held against the command.
pub(super) struct Scanned {
    pub(super) identity: Identity,
    pub(super) header: Header,
    pub(super) outcome: Result<(), String>,
    pub(super) mismatch: Option<String>,
}

impl Scanned {
    pub(super) fn of(scan: Scan, class: SopClassUid, instance: SopInstanceUid) -> Scanned {
        let Scan { header, outcome, .. } = scan;
        let outcome = match outcome {
            ScanOutcome::Complete | ScanOutcome::NeedMore => Ok(()),
            ScanOutcome::Unreadable(error) => Err(error.to_string()),
        };
        let contradicts = |what: &str, said: &Uid, holds: &Option<Uid>| {
            let holds = holds.as_ref().filter(|holds| !holds.is_empty() && !said.is_empty() && *holds != said)?;
            Some(format!("the command says {what} {said}, the data set holds {holds}"))
        };
        let mismatch = contradicts("SOP Instance UID", &instance, &header.sop_instance_uid)
            .or_else(|| contradicts("SOP Class UID", &class, &header.sop_class_uid));
        let or_header = |said: &Uid, holds: &Option<Uid>| match holds {
            Some(holds) if said.is_empty() => holds.clone(),
            _ => said.clone(),
        };
        let held = |uid: &Option<Uid>| uid.clone().unwrap_or_else(|| Uid::new(""));
        let identity = Identity {
            study: StudyInstanceUid::from(held(&header.study_uid)),
            series: SeriesInstanceUid::from(held(&header.series_uid)),
            instance: SopInstanceUid::from(or_header(&instance, &header.sop_instance_uid)),
            class: SopClassUid::from(or_header(&class, &header.sop_class_uid)),
        };
        Scanned { identity, header, outcome, mismatch }
    }
}

/// Waits for the first fragments, or all of them if there are few.
async fn gather(fragments: &mut Receiver<Fragment>) -> Result<(Vec<Bytes>, bool), StoreError> {
    let (mut first, mut length) = (Vec::new(), 0);
    while length < GATHERED {
        match fragments.recv().await {
            Some(Fragment::Data(bytes)) => {
                length += bytes.len();
                first.push(bytes);
            }
            Some(Fragment::End) => return Ok((first, true)),
            None => return Err(StoreError::CutShort),
        }
    }
    Ok((first, false))
}

struct Writer<'a> {
    store: &'a Store,
    part: PartFile,
    hasher: blake3::Hasher,
    /// Bytes of preamble and file meta group; written with the first fragments.
    head: u64,
    pending_head: Option<Bytes>,
    length: u64,
    /// Bytes of the file that are on their way to the disk.
    written: u64,
}

impl<'a> Writer<'a> {
    fn new(store: &'a Store, process: &Arc<ProcessFolder>, head: Bytes) -> Result<Writer<'a>, StoreError> {
        let part = process.new_part().map_err(|error| store.or_full(error))?;
        Ok(Writer {
            store,
            part,
            hasher: blake3::Hasher::new(),
            head: head.len() as u64,
            pending_head: Some(head),
            length: 0,
            written: 0,
        })
    }

    /// Writes until the last fragment; several small ones at once.
    fn drain(&mut self, fragments: &mut Receiver<Fragment>) -> Result<(), StoreError> {
        loop {
            let mut next = fragments.blocking_recv();
            let mut together = Vec::with_capacity(FRAGMENTS_IN_FLIGHT);
            let whole = loop {
                match next {
                    Some(Fragment::Data(bytes)) => together.push(bytes),
                    Some(Fragment::End) => break true,
                    None => return Err(StoreError::CutShort),
                }
                if together.len() == FRAGMENTS_IN_FLIGHT {
                    break false;
                }
                match fragments.try_recv() {
                    Ok(more) => next = Some(more),
                    // Empty, or closed: the next wait tells.
                    Err(_) => break false,
                }
            };
            self.write(together)?;
            failpoint!("receive-fragment");
            if whole {
                return Ok(());
            }
        }
    }

    fn write(&mut self, fragments: Vec<Bytes>) -> Result<(), StoreError> {
        let before = self.length;
        for bytes in &fragments {
            self.hasher.update(bytes);
            self.length += bytes.len() as u64;
        }
        self.store.root().check_room(self.length - before)?;
        let mut pieces = fragments;
        if let Some(head) = self.pending_head.take() {
            pieces.insert(0, head);
        }
        write_all(self.part.file(), &mut pieces)
            .map_err(|error| self.store.or_full(StoreError::io("write the incoming file", self.part.name(), error)))?;
        let end = self.head + self.length;
        if end - self.written >= WRITE_OUT {
            start_writing_out(self.part.file(), self.written, end);
            self.written = end;
        }
        Ok(())
    }
}

/// The preamble and file meta group: what the command and the negotiation said, and who sent it, so that a catalog
/// that is made anew from the files knows that too.
pub(super) fn head_of(
    class: &SopClassUid,
    instance: &SopInstanceUid,
    syntax: &TransferSyntaxUid,
    origin: &Origin,
) -> Result<Vec<u8>, StoreError> {
    let origin =
        serde_json::to_vec(&OriginText::of(origin)).doing("write down the origin of", || instance.to_string())?;
    let extra = Some((uids::IMPLEMENTATION_CLASS, origin.as_slice()));
    Ok(write_part10_head(class.as_str(), instance.as_str(), syntax.as_str(), extra))
}

fn write_all(mut file: &File, pieces: &mut Vec<Bytes>) -> io::Result<()> {
    pieces.retain(|piece| !piece.is_empty());
    let mut done = 0;
    while let Some(rest) = pieces.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let slices: Vec<_> = rest.iter().take(64).map(|piece| IoSlice::new(piece)).collect();
        let mut written = match file.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for piece in rest {
            let step = written.min(piece.len());
            piece.advance(step);
            written -= step;
            if !piece.is_empty() {
                break;
            }
            done += 1;
        }
    }
    Ok(())
}

impl Store {
    /// Calls a disk that is full by its name.
    pub(super) fn or_full(&self, error: StoreError) -> StoreError {
        match &error {
            StoreError::Io { source, .. } if is_full(source) => StoreError::Full(self.folder().to_owned()),
            _ => error,
        }
    }
}

/// Fragments as one reader.
struct Fragments<'a> {
    current: &'a [u8],
    rest: &'a [Bytes],
}

impl<'a> Fragments<'a> {
    fn of(rest: &'a [Bytes]) -> Self {
        Fragments { current: &[], rest }
    }
}

impl Read for Fragments<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some((next, rest)) = self.rest.split_first() else { return Ok(0) };
            (self.current, self.rest) = (next, rest);
        }
        self.current.read(into)
    }
}

/// The data set of a file, from its first byte, whatever the file's own position.
pub(super) struct DataSet<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
}

impl Read for DataSet<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Incoming {
    /// Reads its data set, from the first byte.
    pub fn data_set(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(match &self.content {
            Content::Held(held) => Box::new(Fragments::of(held.pieces.get(1..).unwrap_or_default())),
            Content::Part(part) => Box::new(DataSet { file: part.file(), offset: self.file_size - self.length }),
            Content::There(there) => {
                let mut file = there.link.open()?;
                file.seek(SeekFrom::Start(there.link.offset)).map_err(|error| unreadable(&there.link.path, error))?;
                Box::new(file)
            }
        })
    }
}

/// Scans the header of a file that is whole.
pub(super) fn scan_file(file: &File, offset: u64, syntax: &TransferSyntaxUid, charset: &CharacterSet) -> Scan {
    scan_header(BufReader::with_capacity(64 * 1024, DataSet { file, offset }), syntax, true, charset)
}
