//! A DICOMDIR is never trusted for paths: the folder is walked. It is only asked which files its maker thought were
//! there, so that those that are gone are told.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};

use super::os::{Folder, Kind};
use crate::dataset::{ReadError, referenced_files};
use crate::dicom::TransferSyntaxUid;

/// Names that are told one by one.
const TOLD: usize = 10;
/// Records that are looked at.
const MOST: usize = 1_000_000;

/// What a directory speaks of and what is not there.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Files that it names.
    pub named: usize,
    /// Those that are not there.
    pub missing: usize,
    /// Names that lead out of its folder, or are none.
    pub strange: usize,
    /// The first of those that are not there.
    pub names: Vec<String>,
    /// Why it could not be read to its end.
    pub broken: Option<String>,
}

/// Looks for every file that the directory names, below the folder in which it lies. `begin` is where its data set is.
pub(super) fn missing_files(
    folder: &Folder,
    mut directory: File,
    begin: u64,
    syntax: &TransferSyntaxUid,
) -> io::Result<Missing> {
    let mut found = Missing::default();
    directory.seek(SeekFrom::Start(begin))?;
    let read = referenced_files(BufReader::new(directory), syntax, &mut |id| {
        if found.named >= MOST {
            return;
        }
        found.named += 1;
        let Some(parts) = parts_of(id) else {
            found.strange += 1;
            return;
        };
        if !is_there(folder, &parts) {
            found.missing += 1;
            if found.names.len() < TOLD {
                found.names.push(parts.join("/"));
            }
        }
    });
    match read {
        Ok(()) => {}
        Err(ReadError::Io { source, .. }) => return Err(source),
        Err(error) => found.broken = Some(error.to_string()),
    }
    Ok(found)
}

/// The parts of a File ID; `None` when it could lead anywhere but downwards.
fn parts_of(id: &[u8]) -> Option<Vec<&str>> {
    let parts: Vec<&str> = std::str::from_utf8(id).ok()?.split('\\').map(|part| part.trim_matches(' ')).collect();
    let harmless = |part: &&str| {
        !part.is_empty() && part.bytes().any(|b| b != b'.') && !part.contains(['/', '\0', ':']) && part.len() <= 64
    };
    (parts.len() <= 16 && parts.iter().all(harmless)).then_some(parts)
}

/// Media are mounted with their names in upper or lower case, and some with version numbers.
fn is_there(folder: &Folder, parts: &[&str]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let names = [(*first).to_owned(), first.to_ascii_lowercase(), format!("{first};1"), format!("{first}.")];
    names.iter().any(|name| {
        let name = OsStr::new(name);
        let Ok(look) = folder.look(name) else { return false };
        match look.kind {
            Kind::File => rest.is_empty(),
            Kind::Folder => !rest.is_empty() && folder.folder(name).is_ok_and(|inner| is_there(&inner, rest)),
            Kind::Link | Kind::Other => false,
        }
    })
}
