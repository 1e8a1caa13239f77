//! Archives of DICOM files, one level deep: what lies in them, and reading it. What inflates beyond every measure is
//! left alone.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use tokio_util::sync::CancellationToken;

use super::identify::{Found, identify, kind_of_archive};
use super::rewind::Rewind;
use super::zip::{self, Directory, Entry};
use crate::catalog::Archived;
use crate::dataset::{CharacterSet, read_part10_head};

/// Members beyond this are not looked for.
const MOST_MEMBERS: usize = 1_000_000;
/// What a member may always inflate to, and how many times its packed size beyond that.
const ALLOWED: u64 = 256 * 1024 * 1024;
const RATIO: u64 = 200;
const CHUNK: usize = 64 * 1024;
/// What is unpacked to see whether it is worth unpacking.
const LOOK: u64 = 4 * 1024;

/// Why an archive in an archive is set aside.
pub(super) const NESTED: &str =
    "an archive inside an archive is not opened: unpack the outer one and import what was in it";

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// One file, deflated.
    Gzip,
    /// Many files.
    Zip,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name there, which no other member has; never a path to anything.
    pub name: Vec<u8>,
    /// How it is found again.
    pub archived: Archived,
    /// What it unpacks to.
    pub size: u64,
    /// The sum that its bytes must have.
    pub crc: Option<u32>,
    /// Why it cannot be unpacked.
    pub refused: Option<String>,
}

/// A member as a stream that owns its file, so that it can be read elsewhere.
pub type Unpacked = Box<dyn Read + Send>;

/// Hands every member of an archive to `member`, until that says stop. What takes long ends in an error once it is to stop.
pub(super) fn members(
    file: &File,
    kind: ArchiveKind,
    length: u64,
    stop: &CancellationToken,
    member: &mut dyn FnMut(Member) -> io::Result<bool>,
) -> io::Result<()> {
    if kind == ArchiveKind::Gzip {
        let mut stream = gzip(file.try_clone()?, length);
        let mut head = Vec::new();
        stream.by_ref().take(LOOK).read_to_end(&mut head).map_err(damaged)?;
        if read_part10_head(&head).is_err() {
            let refused = kind_of_archive(&head).map(|_| NESTED.to_owned());
            if refused.is_some() {
                let (name, archived) = (b"content".to_vec(), Archived::Gzip);
                member(Member { name, archived, size: 0, crc: None, refused })?;
            }
            return Ok(());
        }
        // How long it is, only unpacking tells; that also checks its sum.
        let size = head.len() as u64 + read_to_end(&mut stream, stop).map_err(damaged)?;
        member(Member { name: b"content".to_vec(), archived: Archived::Gzip, size, crc: None, refused: None })?;
        return Ok(());
    }
    let mut directory = Directory::open(file, length)?;
    let mut count = 0;
    // By hash; names that only seem to be the same do no harm.
    let (hasher, mut names) = (RandomState::new(), HashSet::new());
    while let Some(entry) = directory.next(file)? {
        count += 1;
        if count > MOST_MEMBERS {
            return Err(io::Error::other(format!("the archive has more than {MOST_MEMBERS} members")));
        }
        if entry.name.ends_with(b"/") {
            continue;
        }
        let refused = if entry.encrypted {
            Some("the member is encrypted".to_owned())
        } else if !matches!(entry.method, 0 | 8) {
            Some(format!("the member is packed by method {}, which is not known here", entry.method))
        } else if entry.size > limit(entry.packed) {
            Some("the member unpacks to more than is believable".to_owned())
        } else {
            None
        };
        let archived = Archived::Zip { at: entry.at };
        let Entry { mut name, size, crc, .. } = entry;
        // Nothing keeps an archive from having two files of one name, and each of them is an object.
        if !names.insert(hasher.hash_one(&name)) {
            name.extend_from_slice(format!("#{}", entry.at).as_bytes());
        }
        if !member(Member { name, archived, size, crc: Some(crc), refused })? {
            break;
        }
    }
    Ok(())
}

/// Reads a member from its first byte. `size` is what it must unpack to.
pub fn unpack(file: File, archived: Archived, length: u64, size: u64) -> io::Result<Unpacked> {
    match archived {
        Archived::Gzip => Ok(Box::new(gzip(file, length))),
        Archived::Zip { at } => {
            let (data, method) = zip::data_at(&file, at)?;
            let packed = At { file, at: data, end: length };
            Ok(match method {
                0 => Box::new(Exact { inner: packed.take(size), left: size }),
                _ => {
                    let inflated = DeflateDecoder::new(BufReader::with_capacity(CHUNK, packed));
                    Box::new(Exact { inner: inflated, left: size })
                }
            })
        }
    }
}

/// What a member is. One that is an object is read to its end, and its sum compared.
pub(super) fn identify_member(
    file: File,
    length: u64,
    member: &Member,
    charset: &CharacterSet,
    stop: &CancellationToken,
) -> io::Result<Found> {
    let summed = Summed { inner: unpack(file, member.archived, length, member.size)?, crc: Crc::new() };
    let mut stream = Rewind::new(summed);
    let found = identify(&mut stream, member.size, Some(member.archived), charset).map_err(damaged)?;
    if matches!(found, Found::Object(..)) {
        let mut summed = stream.into_inner();
        read_to_end(&mut summed, stop).map_err(damaged)?;
        if member.crc.is_some_and(|crc| crc != summed.crc.sum()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the member has other bytes than its sum says"));
        }
    }
    Ok(found)
}

/// Reads what is left, and says how much that was.
fn read_to_end(stream: &mut impl Read, stop: &CancellationToken) -> io::Result<u64> {
    let (mut chunk, mut read) = (vec![0; CHUNK], 0);
    while !stop.is_cancelled() {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(read),
            Ok(n) => read += n as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("stopped"))
}

/// Reads a file as an archive as a stranger made it, and its first members. Says how many members it has. For fuzzing.
#[doc(hidden)]
pub fn read_anything(file: &File, kind: ArchiveKind) -> io::Result<usize> {
    let (length, mut count) = (file.metadata()?.len(), 0);
    let stop = CancellationToken::new();
    let read = members(file, kind, length, &stop, &mut |member| {
        count += 1;
        if count <= 16 && member.refused.is_none() && member.size <= ALLOWED {
            let _ = identify_member(file.try_clone()?, length, &member, &CharacterSet::ascii(), &stop);
        }
        Ok(true)
    });
    read.map(|()| count)
}

/// Adds up what is read.
struct Summed {
    inner: Unpacked,
    crc: Crc,
}

impl Read for Summed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.crc.update(out.get(..n).unwrap_or_default());
        Ok(n)
    }
}

fn gzip(file: File, length: u64) -> impl Read + Send {
    let packed = At { file, at: 0, end: length };
    Bounded { inner: MultiGzDecoder::new(BufReader::with_capacity(CHUNK, packed)), left: limit(length) }
}

fn limit(packed: u64) -> u64 {
    ALLOWED.max(packed.saturating_mul(RATIO))
}

fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the archive is cut off"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            io::Error::new(error.kind(), format!("the archive is damaged: {error}"))
        }
        _ => error,
    }
}

/// A file from a place on, without moving the place of other handles.
struct At {
    file: File,
    at: u64,
    end: u64,
}

impl Read for At {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(out.len());
        let Some(out) = out.get_mut(..left) else { return Ok(0) };
        let n = self.file.read_at(out, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// Refuses to give more than was allowed.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("the archive unpacks to more than is believable"))?;
        Ok(n)
    }
}

/// Gives as many bytes as were announced and no more, and ends in an error when there are fewer.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let Some(out) = out.get_mut(..wanted).filter(|out| !out.is_empty()) else { return Ok(0) };
        match self.inner.read(out)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a member of the archive is cut off")),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}
