//! From a file of another folder to the incoming file: the data set as it is, behind the head that the file has or, where
//! that is missing or wrong, one of ours.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::error::Doing;
use super::incoming::{Content, Held, PartFile};
use super::os::{clone_file, start_writing_out};
use super::receive::{DataSet, HELD, head_of};
use super::source::unreadable;
use super::{Incoming, SourceFile, Store, StoreError};
use crate::failpoint;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;
/// The part of a file that precedes its magic word, of no meaning to DICOM. Programs have been hidden in it.
const PREAMBLE: usize = 128;

impl Store {
    /// Takes a file in by copying it. It is whole when this returns, and not durable. Blocking.
    ///
    /// Where storage folder and file share a file system that can, the copy shares the blocks of the file. A file that
    /// is not what it was when it was scanned, before or after, is still being written
    /// ([`StoreError::SourceChanged`]); nothing is left of it.
    pub fn copy(&self, from: SourceFile) -> Result<Incoming, StoreError> {
        let file = from.open()?;
        self.root().check_room(from.size)?;
        if from.size <= HELD {
            let mut reader = DataSet { file: &file, offset: 0 };
            let incoming = self.copy_small(&mut reader, &from)?;
            from.check(&file)?;
            return Ok(incoming.of(from));
        }
        let part = self.process()?.new_part().map_err(|error| self.or_full(error))?;
        let copied = if from.head_is_sound && clone_file(&file, part.file()) {
            // What is digested is the copy, which nobody else can change.
            self.digest_clone(part, &from)?
        } else {
            self.copy_large(&mut DataSet { file: &file, offset: 0 }, part, &from)?
        };
        failpoint!("copy-read");
        from.check(&file)?;
        Ok(copied.of(from))
    }

    /// The same for what is no file of its own but comes out of an archive: `reader` gives it from its first byte, and
    /// must give as many as were announced.
    pub fn copy_member(&self, from: SourceFile, reader: &mut dyn Read) -> Result<Incoming, StoreError> {
        self.root().check_room(from.size)?;
        if from.size <= HELD {
            return Ok(self.copy_small(reader, &from)?.of(from));
        }
        let part = self.process()?.new_part().map_err(|error| self.or_full(error))?;
        Ok(self.copy_large(reader, part, &from)?.of(from))
    }

    /// Keeps it in memory.
    fn copy_small(&self, reader: &mut dyn Read, from: &SourceFile) -> Result<Copied, StoreError> {
        let process = self.process()?.clone();
        let mut bytes = Vec::with_capacity(usize::try_from(from.size).unwrap_or(0) + 1);
        reader.take(from.size + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&from.path, error))?;
        if bytes.len() as u64 != from.size {
            return Err(StoreError::SourceChanged { path: from.path.clone() });
        }
        let offset = usize::try_from(from.offset.min(from.size)).unwrap_or(bytes.len());
        if from.head_is_sound {
            clear_preamble(&mut bytes);
        }
        let mut bytes = Bytes::from(bytes);
        let data = bytes.split_off(offset);
        let head = if from.head_is_sound { bytes } else { self.new_head(from)? };
        let (digest, file_size) = (blake3::hash(&data), (head.len() + data.len()) as u64);
        let content = Content::Held(Held { process, pieces: vec![head, data] });
        Ok(Copied { digest: digest.into(), file_size, content })
    }

    /// Reads, digests and writes it piece by piece.
    fn copy_large(&self, reader: &mut dyn Read, part: PartFile, from: &SourceFile) -> Result<Copied, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK];
        let (mut read, mut written) = (0, 0);
        let mut pieces = Vec::with_capacity(2);
        if !from.head_is_sound {
            pieces.push(self.new_head(from)?);
        }
        let writing = |error| self.or_full(StoreError::io("write the incoming file", part.name(), error));
        loop {
            let filled = fill(reader, &mut chunk).map_err(|error| unreadable(&from.path, error))?;
            let bytes = chunk.get_mut(..filled).unwrap_or_default();
            if filled == 0 {
                break;
            }
            if read == 0 && from.head_is_sound {
                clear_preamble(bytes);
            }
            // A head is far shorter than a file that may be large; it may still be longer than a chunk.
            let head = usize::try_from(from.offset.saturating_sub(read)).unwrap_or(filled).min(filled);
            hasher.update(bytes.get(head..).unwrap_or_default());
            let kept = if from.head_is_sound { 0 } else { head };
            for piece in pieces.drain(..) {
                part.file().write_all_at(&piece, written).map_err(writing)?;
                written += piece.len() as u64;
            }
            let kept = bytes.get(kept..).unwrap_or_default();
            part.file().write_all_at(kept, written).map_err(writing)?;
            start_writing_out(part.file(), written, written + kept.len() as u64);
            written += kept.len() as u64;
            read += filled as u64;
            failpoint!("copy-chunk");
            if read > from.size {
                break;
            }
        }
        if read != from.size {
            return Err(StoreError::SourceChanged { path: from.path.clone() });
        }
        Ok(Copied { digest: hasher.finalize().into(), file_size: written, content: Content::Part(part) })
    }

    /// Digests a copy that shares the blocks of its file.
    fn digest_clone(&self, part: PartFile, from: &SourceFile) -> Result<Copied, StoreError> {
        let shown = || part.name().to_owned();
        let mut preamble = [0; PREAMBLE];
        part.file().read_exact_at(&mut preamble, 0).doing("read the incoming file", shown)?;
        if preamble != [0; PREAMBLE] {
            let cleared = part.file().write_all_at(&[0; PREAMBLE], 0);
            cleared.doing("write the incoming file", shown).map_err(|error| self.or_full(error))?;
        }
        let (digest, length) =
            super::read::digest_of(part.file(), from.offset).doing("read the incoming file", shown)?;
        Ok(Copied { digest, file_size: from.offset + length, content: Content::Part(part) })
    }

    fn new_head(&self, from: &SourceFile) -> Result<Bytes, StoreError> {
        let (class, instance) = (&from.identity.class, &from.identity.instance);
        Ok(Bytes::from(head_of(class, instance, &from.transfer_syntax, &from.origin)?))
    }
}

/// What has become of the bytes.
struct Copied {
    digest: super::Digest,
    file_size: u64,
    content: Content,
}

impl Copied {
    fn of(self, from: SourceFile) -> Incoming {
        let length = from.length();
        let SourceFile { transfer_syntax, identity, header, origin, entry, .. } = from;
        Incoming {
            identity,
            header,
            scan: Ok(()),
            digest: self.digest,
            length,
            file_size: self.file_size,
            transfer_syntax,
            origin,
            mismatch: None,
            set_aside: None,
            entry,
            restores: None,
            content: self.content,
        }
    }
}

fn clear_preamble(bytes: &mut [u8]) {
    if let Some(preamble) = bytes.get_mut(..PREAMBLE) {
        preamble.fill(0);
    }
}

/// Reads until the chunk is full or there is no more.
fn fill(reader: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
