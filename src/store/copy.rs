//! From a file of another folder to the incoming file: the data set as it is, behind the head that the file has or, where
//! that is missing or wrong, one of ours.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::error::Doing;
use super::incoming::{Content, PartFile};
use super::os::{clone_file, start_writing_out};
use super::receive::{DataSet, HELD, head_of};
use super::source::{check_unchanged, open_unchanged, unreadable};
use super::{Digest, Incoming, Link, SourceFile, Store, StoreError};
use crate::dicom::{Identity, SopClassUid, SopInstanceUid, TransferSyntaxUid};
use crate::failpoint;
use crate::object::Origin;

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
        let link = from.link();
        let copied = self.copy_file(&Original::of(&from, &link))?;
        Ok(from.incoming(Some(copied.digest), copied.file_size, copied.content))
    }

    /// The same for what is no file of its own but comes out of an archive: `reader` gives it from its first byte, and
    /// must give as many as were announced.
    pub fn copy_member(&self, from: SourceFile, reader: &mut dyn Read) -> Result<Incoming, StoreError> {
        self.root().check_room(from.size)?;
        let link = from.link();
        let original = Original::of(&from, &link);
        let copied = if from.size <= HELD {
            self.copy_small(reader, &original)?
        } else {
            let part = self.process()?.new_part().map_err(|error| self.or_full(error))?;
            self.copy_large(reader, part, &original)?
        };
        Ok(from.incoming(Some(copied.digest), copied.file_size, copied.content))
    }

    /// Copies a file that was to stay where it is, and cannot.
    pub fn fetch(&self, incoming: &mut Incoming) -> Result<(), StoreError> {
        let Content::There(there) = &incoming.content else { return Ok(()) };
        let copied = self.copy_file(&Original {
            file: &there.link,
            head_is_sound: there.head_is_sound,
            class: &incoming.identity.class,
            instance: &incoming.identity.instance,
            transfer_syntax: &incoming.transfer_syntax,
            origin: &incoming.origin,
        })?;
        incoming.digest = Some(copied.digest);
        incoming.file_size = copied.file_size;
        incoming.content = copied.content;
        Ok(())
    }

    pub(super) fn copy_file(&self, from: &Original<'_>) -> Result<Copied, StoreError> {
        let file = open_unchanged(from.file)?;
        self.root().check_room(from.file.size)?;
        let mut reader = DataSet { file: &file, offset: 0 };
        let copied = match self.cloned(&file, from)? {
            // What is digested is the copy, which nobody else can change.
            Some(part) => self.digest_clone(part, from)?,
            None if from.file.size <= HELD => self.copy_small(&mut reader, from)?,
            None => {
                let part = self.process()?.new_part().map_err(|error| self.or_full(error))?;
                self.copy_large(&mut reader, part, from)?
            }
        };
        failpoint!("copy-read");
        check_unchanged(from.file, &file.metadata().map_err(|error| unreadable(&from.file.path, error))?)?;
        Ok(copied)
    }

    /// An incoming file that shares the blocks of a file, where that can be. A file system that cannot is not asked again,
    /// as long as files come from it.
    fn cloned(&self, file: &File, from: &Original<'_>) -> Result<Option<PartFile>, StoreError> {
        let device = file.metadata().map_err(|error| unreadable(&from.file.path, error))?.dev();
        if !from.head_is_sound || self.0.unshared.load(Ordering::Relaxed) == device {
            return Ok(None);
        }
        let part = self.process()?.new_part().map_err(|error| self.or_full(error))?;
        if clone_file(file, part.file()) {
            return Ok(Some(part));
        }
        self.0.unshared.store(device, Ordering::Relaxed);
        Ok(None)
    }

    /// Reads, digests and writes it in one piece.
    fn copy_small(&self, reader: &mut dyn Read, from: &Original<'_>) -> Result<Copied, StoreError> {
        let process = self.process()?.clone();
        let mut bytes = Vec::with_capacity(usize::try_from(from.file.size).unwrap_or(0) + 1);
        reader.take(from.file.size + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&from.file.path, error))?;
        if bytes.len() as u64 != from.file.size {
            return Err(StoreError::SourceChanged { path: from.file.path.clone() });
        }
        let offset = usize::try_from(from.file.offset.min(from.file.size)).unwrap_or(bytes.len());
        if from.head_is_sound {
            clear_preamble(&mut bytes);
        }
        let mut bytes = Bytes::from(bytes);
        let data = bytes.split_off(offset);
        let head = if from.head_is_sound { bytes } else { self.new_head(from)? };
        let (digest, file_size) = (blake3::hash(&data), (head.len() + data.len()) as u64);
        // Written by whoever has read it, since there are several of those. Many of them are synced together, so that it
        // is of no use to begin writing out each.
        let content = Content::Part(self.write_part(&process, &mut vec![head, data])?);
        Ok(Copied { digest: digest.into(), file_size, content })
    }

    /// Reads, digests and writes it piece by piece.
    fn copy_large(&self, reader: &mut dyn Read, part: PartFile, from: &Original<'_>) -> Result<Copied, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK];
        let (mut read, mut written) = (0, 0);
        let mut pieces = Vec::with_capacity(2);
        if !from.head_is_sound {
            pieces.push(self.new_head(from)?);
        }
        let writing = |error| self.or_full(StoreError::io("write the incoming file", part.name(), error));
        loop {
            let filled = fill(reader, &mut chunk).map_err(|error| unreadable(&from.file.path, error))?;
            let bytes = chunk.get_mut(..filled).unwrap_or_default();
            if filled == 0 {
                break;
            }
            if read == 0 && from.head_is_sound {
                clear_preamble(bytes);
            }
            // A head is far shorter than a file that may be large; it may still be longer than a chunk.
            let head = usize::try_from(from.file.offset.saturating_sub(read)).unwrap_or(filled).min(filled);
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
            if read > from.file.size {
                break;
            }
        }
        if read != from.file.size {
            return Err(StoreError::SourceChanged { path: from.file.path.clone() });
        }
        Ok(Copied { digest: hasher.finalize().into(), file_size: written, content: Content::Part(part) })
    }

    /// Digests a copy that shares the blocks of its file.
    fn digest_clone(&self, part: PartFile, from: &Original<'_>) -> Result<Copied, StoreError> {
        let shown = || part.name().to_owned();
        let mut preamble = [0; PREAMBLE];
        part.file().read_exact_at(&mut preamble, 0).doing("read the incoming file", shown)?;
        if preamble != [0; PREAMBLE] {
            let cleared = part.file().write_all_at(&[0; PREAMBLE], 0);
            cleared.doing("write the incoming file", shown).map_err(|error| self.or_full(error))?;
        }
        let (digest, length) =
            super::read::digest_of(part.file(), from.file.offset).doing("read the incoming file", shown)?;
        Ok(Copied { digest, file_size: from.file.offset + length, content: Content::Part(part) })
    }

    fn new_head(&self, from: &Original<'_>) -> Result<Bytes, StoreError> {
        Ok(Bytes::from(head_of(from.class, from.instance, from.transfer_syntax, from.origin)?))
    }
}

/// What is to be copied.
pub(super) struct Original<'a> {
    pub(super) file: &'a Link,
    pub(super) head_is_sound: bool,
    pub(super) class: &'a SopClassUid,
    pub(super) instance: &'a SopInstanceUid,
    pub(super) transfer_syntax: &'a TransferSyntaxUid,
    pub(super) origin: &'a Origin,
}

impl<'a> Original<'a> {
    fn of(from: &'a SourceFile, file: &'a Link) -> Original<'a> {
        let SourceFile { head_is_sound, identity, transfer_syntax, origin, .. } = from;
        let Identity { class, instance, .. } = identity;
        Original { file, head_is_sound: *head_is_sound, class, instance, transfer_syntax, origin }
    }
}

/// What has become of the bytes.
pub(super) struct Copied {
    pub(super) digest: Digest,
    pub(super) file_size: u64,
    pub(super) content: Content,
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
