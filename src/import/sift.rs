//! From a file to the rows of the list: what it is, whether it was asked for, and what is wrong with it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::archive::{ArchiveKind, Member, identify_member, members};
use super::dicomdir::missing_files;
use super::identify::{Found, identify};
use super::os::{Folder, Look};
use crate::catalog::{FileKey, FileState, ListedFile, ListedObject, Reason};
use crate::dataset::CharacterSet;
use crate::dicom::{Date, DateRange, TransferSyntaxUid};

/// The most threads that read headers. More than processors: a share or a disc answers several at once.
const THREADS: usize = 8;
/// Rows of an archive that are handed on at once.
const PART: usize = 256;

/// A file that is to be looked at.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its folder, held open.
    pub folder: Arc<Folder>,
    /// What its row is called.
    pub key: FileKey,
    /// What it was like when it was met.
    pub look: Look,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Sieve {
    /// Days of studies.
    pub days: DateRange,
    /// What texts mean that name no character set.
    pub charset: CharacterSet,
    /// Whether archives are left packed.
    pub refuse_archives: bool,
    /// Whoever asked does not want to know any more.
    pub stop: CancellationToken,
}

/// What came of a file.
#[derive(Debug)]
pub enum Sifted {
    /// It is this.
    File(Box<ListedFile>),
    /// It is an archive, which is to be gone through by [`Sieve::archive`].
    Archive(Candidate, ArchiveKind),
    /// Its study is of another day than was asked for.
    Outside(FileKey),
}

impl Sieve {
    /// Looks at many files, several at a time; what came of them is in no order.
    pub fn sift(&self, candidates: &[Candidate]) -> Vec<Sifted> {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get() * 2).clamp(2, THREADS);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut sifted = Vec::new();
            while let Some(candidate) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
                sifted.push(self.file(candidate));
            }
            sifted
        };
        if candidates.len() < threads {
            return work();
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn file(&self, candidate: &Candidate) -> Sifted {
        let row = |state, reason, detail: String| Sifted::File(Box::new(candidate.row(state, reason, detail, None)));
        let unreadable = |what: String| row(FileState::Unreadable, Some(Reason::UnreadableFile), what);
        let mut file = match candidate.folder.file(&candidate.key.name) {
            Ok((file, look)) if look.size == candidate.look.size && look.modified == candidate.look.modified => file,
            Ok(_) => return Sifted::File(Box::new(candidate.left())),
            Err(error) => return unreadable(words(&error)),
        };
        match identify(&mut file, candidate.look.size, None, &self.charset) {
            Err(error) => unreadable(words(&error)),
            Ok(Found::Empty) => unreadable("the file is empty".into()),
            Ok(Found::Unreadable(what)) => unreadable(what),
            Ok(Found::NotDicom) => row(FileState::NotDicom, Some(Reason::NotDicom), String::new()),
            Ok(Found::Archive(kind)) => Sifted::Archive(candidate.clone(), kind),
            Ok(Found::Directory(begin, syntax)) => Sifted::File(Box::new(candidate.directory(file, begin, &syntax))),
            Ok(Found::Object(object, fault)) => {
                if self.is_outside(&object) {
                    return Sifted::Outside(candidate.key.clone());
                }
                Sifted::File(Box::new(candidate.object(object, fault)))
            }
        }
    }

    fn is_outside(&self, object: &ListedObject) -> bool {
        let day = || object.header.study_date.as_deref().and_then(|day| Date::parse(day).ok());
        self.days != DateRange::default() && day().is_none_or(|day| !self.days.contains(day))
    }

    /// Goes through the members of an archive, and hands rows on, some at a time; `false` from `give` ends it. Says how
    /// many objects are of another day than was asked for. Stopped, it ends without its last rows.
    pub fn archive(
        &self,
        candidate: &Candidate,
        kind: ArchiveKind,
        give: &mut dyn FnMut(Vec<ListedFile>) -> bool,
    ) -> u64 {
        let (mut rows, mut outside, mut some, mut wanted) = (Vec::new(), 0, false, true);
        let length = candidate.look.size;
        let read = candidate.folder.file(&candidate.key.name).and_then(|(file, _)| {
            members(&file, kind, length, &self.stop, &mut |member| {
                match self.member(&file, candidate, &member) {
                    Some(Sifted::File(row)) => {
                        some = true;
                        rows.push(*row);
                    }
                    Some(_) => outside += 1,
                    None => {}
                }
                wanted = !self.stop.is_cancelled() && (rows.len() < PART || give(std::mem::take(&mut rows)));
                Ok(wanted)
            })
        });
        // Its last row would say that it has been gone through.
        if !wanted || self.stop.is_cancelled() {
            return outside;
        }
        if let Err(error) = read {
            rows.push(candidate.row(FileState::Unreadable, Some(Reason::UnreadableFile), words(&error), None));
        } else if !some && outside == 0 {
            rows.push(candidate.row(FileState::NotDicom, Some(Reason::NotDicom), String::new(), None));
        } else {
            // The last of its rows: with it the archive has been gone through.
            rows.push(candidate.row(FileState::Archive, None, String::new(), None));
        }
        give(rows);
        outside
    }

    /// `None` for what is not DICOM, as most of what lies in archives.
    fn member(&self, file: &File, candidate: &Candidate, member: &Member) -> Option<Sifted> {
        let inside =
            Candidate { key: FileKey { member: member.name.clone(), ..candidate.key.clone() }, ..candidate.clone() };
        let file_row = |row| Some(Sifted::File(Box::new(row)));
        let unreadable =
            |what: String| file_row(inside.row(FileState::Unreadable, Some(Reason::UnreadableFile), what, None));
        if let Some(refused) = &member.refused {
            return unreadable(refused.clone());
        }
        let length = candidate.look.size;
        let found = file.try_clone().and_then(|file| identify_member(file, length, member, &self.charset, &self.stop));
        match found {
            Err(error) => unreadable(words(&error)),
            Ok(Found::Unreadable(what)) => unreadable(what),
            Ok(Found::Empty | Found::NotDicom | Found::Archive(_) | Found::Directory(..)) => None,
            Ok(Found::Object(object, _)) if self.is_outside(&object) => Some(Sifted::Outside(candidate.key.clone())),
            Ok(Found::Object(object, fault)) if !self.refuse_archives => file_row(inside.object(object, fault)),
            Ok(Found::Object(..)) => {
                let why = "a member of an archive can only be copied, and only links were asked for".into();
                file_row(inside.row(FileState::Refused, Some(Reason::RefusedByUs), why, None))
            }
        }
    }
}

/// Why a file is left for the next run.
const STILL_WRITTEN: &str = "the file is still being written; the next run takes it";

impl Candidate {
    /// A row of this file.
    pub fn row(
        &self,
        state: FileState,
        reason: Option<Reason>,
        detail: String,
        object: Option<Box<ListedObject>>,
    ) -> ListedFile {
        let Candidate { key, look, .. } = self;
        ListedFile { key: key.clone(), size: look.size, modified: look.modified, state, reason, detail, object }
    }

    /// A row that says that it is still being written.
    pub fn left(&self) -> ListedFile {
        self.row(FileState::Left, Some(Reason::ShortCount), STILL_WRITTEN.into(), None)
    }

    fn object(&self, object: Box<ListedObject>, fault: Option<String>) -> ListedFile {
        let identity = &object.identity;
        let missing =
            [("Series Instance UID", identity.series.is_empty()), ("SOP Instance UID", identity.instance.is_empty())];
        let missing: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
        let (reason, detail) = match fault {
            Some(fault) => (Reason::Quarantined, fault),
            None if identity.study.is_empty() => (Reason::NoStudyInstanceUid, "no Study Instance UID".into()),
            None if !missing.is_empty() => (Reason::IdentifiersInvalid, format!("no {}", missing.join(", no "))),
            None => return self.row(FileState::Listed, None, String::new(), Some(object)),
        };
        self.row(FileState::Faulty, Some(reason), detail, Some(object))
    }

    fn directory(&self, file: File, begin: u64, syntax: &TransferSyntaxUid) -> ListedFile {
        let missing = match missing_files(&self.folder, file, begin, syntax) {
            Ok(missing) => missing,
            Err(error) => {
                return self.row(FileState::Unreadable, Some(Reason::UnreadableFile), words(&error), None);
            }
        };
        let mut said = Vec::new();
        if missing.missing > 0 {
            let more = if missing.missing > missing.names.len() { ", ..." } else { "" };
            let (gone, named) = (missing.missing, missing.named);
            said.push(format!(
                "{gone} of the {named} files that it names are not there: {}{more}",
                missing.names.join(", ")
            ));
        }
        if missing.strange > 0 {
            said.push(format!("{} of its names lead elsewhere or are none, and were not looked for", missing.strange));
        }
        if let Some(broken) = missing.broken {
            said.push(format!("it cannot be read to its end: {broken}"));
        }
        let reason = (missing.missing > 0).then_some(Reason::NotFoundAtSource);
        self.row(FileState::Directory, reason, said.join("; "), None)
    }
}

/// An error of the operating system as people say it.
pub fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::NotFound => "it is no longer there".into(),
        _ => error.to_string(),
    }
}
