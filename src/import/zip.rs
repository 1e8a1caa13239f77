//! The directory of a zip file (APPNOTE 4.3): names, sizes and places of its members. Only what is needed to read them
//! one level deep, of files that nobody vouches for: every length is checked against the file before it is believed. It
//! is read page by page, since an archive may have a million members, and what is at hand keeps all of them in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The end record and the longest comment behind it.
const TAIL: u64 = 22 + 65_535;
/// What is read of the directory at once.
const PAGE: usize = 64 * 1024;
/// The longest entry: its fixed part, and three texts of 64 KiB.
const LONGEST_ENTRY: usize = 46 + 3 * 65_535;

/// A member as the directory tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// 0 stored, 8 deflated.
    pub(super) method: u16,
    pub(super) encrypted: bool,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
    /// Where its local header begins.
    pub(super) at: u64,
}

/// The directory, read page by page.
#[derive(Debug)]
pub(super) struct Directory {
    /// Where the next entry begins, and where the directory ends.
    at: u64,
    end: u64,
    page: Vec<u8>,
    from: usize,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zip file is damaged: {what}"))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    chunk.map(|bytes| u16::from_le_bytes(*bytes)).ok_or_else(|| broken("a record is cut off"))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    chunk.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| broken("a record is cut off"))
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    chunk.map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(|| broken("a record is cut off"))
}

impl Directory {
    /// Finds the directory of a zip file of that many bytes.
    pub(super) fn open(file: &File, length: u64) -> io::Result<Directory> {
        let tail_at = length.saturating_sub(TAIL);
        let mut tail = vec![0; usize::try_from(length - tail_at).unwrap_or(0)];
        file.read_exact_at(&mut tail, tail_at)?;
        let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
        let end = end.ok_or_else(|| broken("it has no directory, as if it were cut off"))?;
        let record = tail.get(end..).unwrap_or_default();
        let (mut size, mut at) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
        if at == u64::from(u32::MAX) || size == u64::from(u32::MAX) {
            (size, at) = large(file, tail.get(end.saturating_sub(20)..end).unwrap_or_default())?;
        }
        let directory_end = at.checked_add(size).filter(|end| *end <= length);
        let end = directory_end.ok_or_else(|| broken("its directory lies behind its end"))?;
        Ok(Directory { at, end, page: Vec::new(), from: 0 })
    }

    /// The next member; `None` behind the last.
    pub(super) fn next(&mut self, file: &File) -> io::Result<Option<Entry>> {
        if self.at >= self.end {
            return Ok(None);
        }
        self.fill(file, 46)?;
        let (name, extra, comment) = {
            let head = self.ahead();
            if !head.starts_with(b"PK\x01\x02") {
                return Err(broken("an entry of its directory does not begin like one"));
            }
            (usize::from(u16_at(head, 28)?), usize::from(u16_at(head, 30)?), usize::from(u16_at(head, 32)?))
        };
        let whole = 46 + name + extra + comment;
        self.fill(file, whole)?;
        let record = self.ahead().get(..whole).ok_or_else(|| broken("an entry of its directory is cut off"))?;
        let mut entry = Entry {
            encrypted: u16_at(record, 8)? & 1 != 0,
            method: u16_at(record, 10)?,
            crc: u32_at(record, 16)?,
            packed: u32_at(record, 20)?.into(),
            size: u32_at(record, 24)?.into(),
            at: u32_at(record, 42)?.into(),
            name: record.get(46..46 + name).unwrap_or_default().to_vec(),
        };
        widen(&mut entry, record.get(46 + name..46 + name + extra).unwrap_or_default())?;
        self.at += whole as u64;
        self.from += whole;
        Ok(Some(entry))
    }

    fn ahead(&self) -> &[u8] {
        self.page.get(self.from..).unwrap_or_default()
    }

    /// Sees that so many bytes are in memory, as far as there are so many.
    fn fill(&mut self, file: &File, wanted: usize) -> io::Result<()> {
        if self.ahead().len() >= wanted.min(LONGEST_ENTRY) {
            return Ok(());
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        self.page.resize(left.min(PAGE.max(wanted)), 0);
        file.read_exact_at(&mut self.page, self.at)?;
        self.from = 0;
        Ok(())
    }
}

/// Size and place of the directory of a large file (zip64), from the locator that precedes the end record.
fn large(file: &File, locator: &[u8]) -> io::Result<(u64, u64)> {
    if !locator.starts_with(b"PK\x06\x07") {
        return Err(broken("the place of its directory is missing"));
    }
    let mut record = [0; 56];
    file.read_exact_at(&mut record, u64_at(locator, 8)?)?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(broken("the record of its directory is missing"));
    }
    Ok((u64_at(&record, 40)?, u64_at(&record, 48)?))
}

/// Numbers that need 64 bits stand in an extra field, in this order, and only those.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> io::Result<()> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        if id == 1 {
            let mut at = 4;
            for number in [&mut entry.size, &mut entry.packed, &mut entry.at] {
                if *number == u64::from(u32::MAX) {
                    *number = u64_at(extra, at)?;
                    at += 8;
                }
            }
            return Ok(());
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    Ok(())
}

/// Where the bytes of a member begin: its local header repeats the name, and may have other extras.
pub(super) fn data_at(file: &File, at: u64) -> io::Result<(u64, u16)> {
    let mut head = [0; 30];
    file.read_exact_at(&mut head, at)?;
    if !head.starts_with(b"PK\x03\x04") {
        return Err(broken("a member does not begin like one"));
    }
    let skip = 30 + u64::from(u16_at(&head, 26)?) + u64::from(u16_at(&head, 28)?);
    Ok((at.saturating_add(skip), u16_at(&head, 8)?))
}
