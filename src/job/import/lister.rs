//! Makes the list of an import: every folder is walked, every header read once, and both are kept in the catalog, some
//! folders at a time, so that a restart goes on with the folder at which it was. Runs on a thread of its own.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::catalog::{
    Batch, Catalog, CatalogError, FileKey, FileState, FolderFacts, FolderState, ImportFolder, KnownEntry, KnownMember,
    ListedFile, Reason, Way,
};
use crate::dicom::{Date, DateRange};
use crate::import::{Candidate, Folder, Kind, Look, Sieve, Sifted, shown, words};
use crate::store::{Link, Store};

/// Files whose headers are read, and written down, at once.
const FILES: usize = 512;
/// Folders that are held open at once.
const OPEN: usize = 64;
/// Folders that are asked for at once.
const PAGE: usize = 256;
/// Names that are read of a folder at once.
const NAMES: usize = 512;
/// A file that was touched within this time may still be written, and is looked at again.
const SETTLE: Duration = Duration::from_secs(2);
/// How often a wait looks whether it should end.
const POLL: Duration = Duration::from_millis(50);

/// What the list is made of.
pub(super) struct Lister {
    pub(super) catalog: Catalog,
    pub(super) job: i64,
    pub(super) sieve: Sieve,
    pub(super) way: Way,
    /// Whether a copy was asked for.
    pub(super) copies: bool,
    pub(super) store: Store,
    /// Days on which files came into their folders.
    pub(super) received: DateRange,
    /// The storage folder.
    pub(super) storage: PathBuf,
    /// The catalog's file; its companions have longer names.
    pub(super) catalog_file: PathBuf,
    /// Folders of ours in which nothing is looked for.
    pub(super) ours: Vec<PathBuf>,
    pub(super) stop: CancellationToken,
}

/// What is being put together.
#[derive(Default)]
struct Round {
    candidates: Vec<Candidate>,
    batch: Batch,
    /// What is to be written while the next headers are read.
    ready: Option<Batch>,
    /// Facts of folders that are not written yet, and whether the folder is through.
    facts: HashMap<i64, (FolderFacts, bool)>,
}

impl Lister {
    /// Lists everything that is not listed yet; ends early when it is stopped.
    pub(super) fn run(&self, roots: Vec<PathBuf>) -> Result<(), CatalogError> {
        self.catalog.add_import_folders(self.job, roots)?;
        let mut round = Round::default();
        loop {
            let folders = self.catalog.pending_folders(self.job, 0, PAGE)?;
            if folders.is_empty() {
                break;
            }
            for folder in &folders {
                self.folder(folder, &mut round)?;
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                if round.candidates.len() >= FILES || round.facts.len() >= OPEN {
                    self.write(&mut round)?;
                }
            }
            self.write(&mut round)?;
            self.finish(&mut round)?;
        }
        self.young(&mut round)
    }

    /// Reads the names in a folder. What must be looked at waits in the round.
    fn folder(&self, folder: &ImportFolder, round: &mut Round) -> Result<(), CatalogError> {
        let mut facts = FolderFacts {
            id: folder.id,
            state: FolderState::Listed,
            unchanged: 0,
            foreign: 0,
            skipped: 0,
            outside: 0,
            detail: String::new(),
        };
        let opened = Folder::open(&folder.path).and_then(|open| Ok((open.entries()?, open)));
        let (mut entries, open) = match opened {
            Ok((entries, open)) => (entries, Arc::new(open)),
            Err(error) => {
                facts.state = FolderState::Unreadable;
                facts.detail = words(&error);
                round.facts.insert(folder.id, (facts, true));
                return Ok(());
            }
        };
        round.facts.insert(folder.id, (facts, false));
        loop {
            let mut names = Vec::with_capacity(NAMES);
            for name in entries.by_ref().take(NAMES) {
                match name {
                    Ok(name) => names.push(name),
                    Err(error) => {
                        if let Some((facts, _)) = round.facts.get_mut(&folder.id) {
                            facts.state = FolderState::Unreadable;
                            facts.detail = format!("the folder could not be read to its end: {}", words(&error));
                        }
                    }
                }
            }
            if names.is_empty() {
                break;
            }
            names.sort_unstable();
            self.names(folder, &open, names, round)?;
            if round.candidates.len() >= FILES {
                self.write(round)?;
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
        }
        if let Some((_, through)) = round.facts.get_mut(&folder.id) {
            *through = true;
        }
        Ok(())
    }

    fn names(
        &self,
        folder: &ImportFolder,
        open: &Arc<Folder>,
        names: Vec<OsString>,
        round: &mut Round,
    ) -> Result<(), CatalogError> {
        let mut files = Vec::new();
        let mut skipped = 0;
        for name in names {
            let key = |name| FileKey { folder: folder.id, name, member: Vec::new() };
            match open.look(&name) {
                // What lies in the storage folder itself is ours.
                Ok(look) if look.kind == Kind::File && self.is_ours(&folder.path, &name) => {}
                Ok(look) if look.kind == Kind::File => files.push((name, look)),
                Ok(look) if look.kind == Kind::Folder => {
                    let path = folder.path.join(&name);
                    if !self.ours.contains(&path) {
                        round.batch.folders.push(path);
                    }
                }
                Ok(_) => skipped += 1,
                Err(error) => {
                    let (state, reason) = (FileState::Unreadable, Some(Reason::UnreadableFile));
                    let (size, modified, detail) = (0, 0, words(&error));
                    let (key, object) = (key(name), None);
                    round.batch.files.push(ListedFile { key, size, modified, state, reason, detail, object });
                }
            }
        }
        let only_names: Vec<&OsStr> = files.iter().map(|(name, _)| name.as_os_str()).collect();
        let mut known = self.catalog.known_entries(self.job, self.way, folder.id, &only_names)?;
        let now = unix_nanoseconds();
        let (mut unchanged, mut foreign, mut outside) = (0, 0, 0);
        for (name, look) in files {
            let entry = known.remove(&name);
            let candidate = Candidate {
                folder: Arc::clone(open),
                key: FileKey { folder: folder.id, name, member: Vec::new() },
                look,
            };
            match self.judge(&folder.path, &candidate, entry.as_ref(), now) {
                Judgement::Known => {}
                Judgement::Foreign => foreign += 1,
                Judgement::Unchanged(carried) => {
                    unchanged += u64::from(carried.is_empty());
                    round.batch.files.extend(carried);
                }
                Judgement::Outside => outside += 1,
                Judgement::Young => {
                    round.batch.files.push(candidate.row(FileState::Young, None, String::new(), None));
                }
                Judgement::Look => round.candidates.push(candidate),
            }
        }
        if let Some((facts, _)) = round.facts.get_mut(&folder.id) {
            facts.skipped += skipped;
            facts.unchanged += unchanged;
            facts.foreign += foreign;
            facts.outside += outside;
        }
        Ok(())
    }

    /// The storage folder holds no objects itself; where the catalog is, its files are none.
    fn is_ours(&self, folder: &Path, name: &OsStr) -> bool {
        let catalog = self.catalog_file.file_name().unwrap_or_default();
        folder == self.storage
            || (self.catalog_file.parent() == Some(folder)
                && name.as_encoded_bytes().starts_with(catalog.as_encoded_bytes()))
    }

    /// Whether a file must be looked at.
    fn judge(&self, path: &Path, candidate: &Candidate, known: Option<&KnownEntry>, now: i64) -> Judgement {
        let look = &candidate.look;
        if let Some(known) = known {
            let same = known.size == look.size && known.modified == look.modified;
            // An archive that was gone through half way has rows of members only.
            if known.ours && known.members.iter().any(|member| member.name.is_empty()) {
                return Judgement::Known;
            }
            if !known.ours && same && known.members.iter().all(|member| self.is_settled(path, candidate, member)) {
                return match known.members.as_slice() {
                    [KnownMember { state: FileState::NotDicom, .. }] => Judgement::Foreign,
                    _ => Judgement::Unchanged(carried(candidate, known)),
                };
            }
        }
        let received = || day_of(look).is_some_and(|day| self.received.contains(day));
        if self.received != DateRange::default() && !received() {
            Judgement::Outside
        } else if look.is_young(now, SETTLE) {
            Judgement::Young
        } else {
            Judgement::Look
        }
    }

    /// Whether nothing need be done about a file that has not changed. What is only linked is no copy; and a link counts
    /// as long as its file is what it was.
    fn is_settled(&self, folder: &Path, candidate: &Candidate, known: &KnownMember) -> bool {
        let is_itself = |link: &Link| {
            link.size == candidate.look.size
                && link.modified.is_none_or(|then| then == candidate.look.modified)
                && link.path == folder.join(&candidate.key.name)
        };
        known.state.is_settled()
            && known.link.as_ref().is_none_or(|link| !self.copies && (is_itself(link) || self.store.still_has(link)))
    }

    /// Reads the headers of the round and writes everything down.
    fn write(&self, round: &mut Round) -> Result<(), CatalogError> {
        let candidates = std::mem::take(&mut round.candidates);
        let mut archives = Vec::new();
        // What was read last is written down while the next is read.
        let (written, sifted) = std::thread::scope(|scope| {
            let ready = round.ready.take();
            let writing =
                scope.spawn(|| ready.map_or(Ok(()), |ready| self.catalog.list_batch(self.job, self.way, ready)));
            let sifted = self.sieve.sift(&candidates);
            (writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), sifted)
        });
        written?;
        for sifted in sifted {
            match sifted {
                Sifted::File(row) => round.batch.files.push(*row),
                Sifted::Archive(candidate, kind) => archives.push((candidate, kind)),
                Sifted::Outside(key) => round.outside(key),
            }
        }
        drop(candidates);
        for (candidate, kind) in archives {
            let mut failed = None;
            let outside = self.sieve.archive(&candidate, kind, &mut |rows| {
                let part = Batch { files: rows, ..Batch::default() };
                failed = self.catalog.list_batch(self.job, self.way, part).err();
                failed.is_none() && !self.stop.is_cancelled()
            });
            if let Some(error) = failed {
                return Err(error);
            }
            // An archive that was left half way is gone through again.
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if let Some((facts, _)) = round.facts.get_mut(&candidate.key.folder) {
                facts.outside += outside;
            }
        }
        let mut batch = std::mem::take(&mut round.batch);
        batch.files.sort_by(|a, b| (a.key.folder, &a.key.name).cmp(&(b.key.folder, &b.key.name)));
        round.facts.retain(|_, (facts, through)| {
            if *through {
                batch.done.push(facts.clone());
            }
            !*through
        });
        round.ready = Some(batch);
        Ok(())
    }

    /// Writes down what is ready.
    fn finish(&self, round: &mut Round) -> Result<(), CatalogError> {
        round.ready.take().map_or(Ok(()), |ready| self.catalog.list_batch(self.job, self.way, ready))
    }

    /// Looks again at what was young: what has not changed since is whole.
    fn young(&self, round: &mut Round) -> Result<(), CatalogError> {
        let mut waited = false;
        loop {
            let files = self.catalog.open_files(self.job, FileState::Young, FILES)?;
            if files.is_empty() || self.stop.is_cancelled() {
                return Ok(());
            }
            if !std::mem::replace(&mut waited, true) {
                self.wait(SETTLE + POLL);
            }
            let mut open: Option<(i64, Arc<Folder>)> = None;
            for (path, row) in files {
                let id = row.key.folder;
                if open.as_ref().is_none_or(|(other, _)| *other != id) {
                    open = Folder::open(&path).ok().map(|folder| (id, Arc::new(folder)));
                }
                let look = open.as_ref().and_then(|(_, folder)| Some((folder, folder.look(&row.key.name).ok()?)));
                match look {
                    Some((folder, look)) => {
                        let candidate = Candidate { folder: Arc::clone(folder), key: row.key.clone(), look };
                        let same = (look.size, look.modified) == (row.size, row.modified);
                        if same && !look.is_young(unix_nanoseconds(), SETTLE) {
                            round.candidates.push(candidate);
                        } else {
                            round.batch.files.push(candidate.left());
                        }
                    }
                    None => round.batch.files.push(ListedFile {
                        state: FileState::Unreadable,
                        reason: Some(Reason::UnreadableFile),
                        detail: format!("it is no longer there: {}", shown(&path.join(&row.key.name))),
                        ..row
                    }),
                }
            }
            self.write(round)?;
            self.finish(round)?;
        }
    }

    fn wait(&self, pause: Duration) {
        let began = std::time::Instant::now();
        while began.elapsed() < pause && !self.stop.is_cancelled() {
            std::thread::sleep(POLL);
        }
    }
}

enum Judgement {
    /// This job has its row.
    Known,
    /// An earlier run has dealt with it; rows that are told again.
    Unchanged(Vec<ListedFile>),
    /// An earlier run found that it is not DICOM.
    Foreign,
    Outside,
    Young,
    Look,
}

/// What an earlier run could not file is not forgotten: it is told again, with nothing done about it.
fn carried(candidate: &Candidate, known: &KnownEntry) -> Vec<ListedFile> {
    let troubled = |state: &FileState| matches!(state, FileState::Collision | FileState::SetAside | FileState::Refused);
    let members = known.members.iter().filter(|member| troubled(&member.state));
    members
        .map(|KnownMember { name, state, reason, detail, .. }| {
            let mut row = candidate.row(*state, *reason, detail.clone(), None);
            row.key.member.clone_from(name);
            row
        })
        .collect()
}

impl Round {
    fn outside(&mut self, key: FileKey) {
        match self.facts.get_mut(&key.folder) {
            Some((facts, _)) => facts.outside += 1,
            None => self.batch.outside.push(key),
        }
    }
}

/// The day, here, on which a file was written.
fn day_of(look: &Look) -> Option<Date> {
    let time = jiff::Timestamp::from_nanosecond(look.modified.into()).ok()?;
    Date::parse(&time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d").to_string()).ok()
}

fn unix_nanoseconds() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
