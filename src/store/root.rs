//! The storage folder as a whole: its sentinel, and the room that is left in it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;
use super::error::Doing;
use super::os::Folder;

/// Marks a storage folder. A mount point without it is a disk that is not there.
const SENTINEL: &str = ".pacsferry-storage";
/// What a sentinel becomes one from, so that there is never half of one.
const NEW_SENTINEL: &str = ".pacsferry-storage.new";
/// How long an answer about free space is good for.
const FRESH: Duration = Duration::from_millis(250);

/// The storage folder, held open. As long as it is, the sentinel is locked, shared: who needs to be alone can tell.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    pub(super) folder: Folder,
    sentinel: File,
    /// Device and inode of the sentinel.
    identity: (u64, u64),
    id: String,
    minimum_free: u64,
    known: Mutex<Option<Room>>,
    /// Whether one sync of the whole file system can be relied on.
    syncs_whole: Mutex<bool>,
}

/// What was free beside the reserve, less what was written since.
#[derive(Debug)]
struct Room {
    at: Instant,
    spare: u64,
}

impl Root {
    /// Opens a storage folder that is there.
    pub(super) fn open(path: &Path, minimum_free: u64) -> Result<Root, StoreError> {
        let shown = || path.display().to_string();
        let not_mounted = || StoreError::NotMounted(path.to_owned());
        let folder = match Folder::root(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_mounted()),
            other => other.doing("open the storage folder", shown)?,
        };
        let sentinel = match folder.file(SENTINEL) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_mounted()),
            other => other.doing("open the sentinel of", shown)?,
        };
        let id = read_id(&sentinel).doing("read the sentinel of", shown)?.ok_or_else(not_mounted)?;
        match sentinel.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(error).doing("lock the sentinel of", shown),
            Ok(()) => {}
        }
        let identity = sentinel.metadata().map(|m| (m.dev(), m.ino())).doing("look at the sentinel of", shown)?;
        let (path, known) = (path.to_owned(), Mutex::new(None));
        let syncs_whole = Mutex::new(folder.can_sync_filesystem());
        Ok(Root { path, folder, sentinel, identity, id, minimum_free, known, syncs_whole })
    }

    /// Makes a storage folder of one that is empty or not there, durably, and opens it; opens the one that is there.
    pub(super) fn create(path: &Path, minimum_free: u64) -> Result<Root, StoreError> {
        let shown = || path.display().to_string();
        make_durably(path).doing("make the storage folder", shown)?;
        let folder = Folder::root(path).doing("open the storage folder", shown)?;
        let entries = folder.entries().doing("list the storage folder", shown)?;
        let strange = |name: &str| !name.starts_with(NEW_SENTINEL) && name != "lost+found";
        // What was not there while the folder was read may be by now.
        let made = || folder.holds(SENTINEL).doing("look at", shown);
        if !entries.iter().any(|(name, _)| name == SENTINEL) && !made()? {
            if entries.iter().any(|(name, _)| strange(name)) {
                return Err(StoreError::NotAStorageFolder(path.to_owned()));
            }
            write_sentinel(&folder).doing("write the sentinel of", shown)?;
        }
        Root::open(path, minimum_free)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the sentinel that was opened still stands at the path that was configured.
    pub(super) fn check_mounted(&self) -> Result<(), StoreError> {
        let gone = || StoreError::NotMounted(self.path.clone());
        match std::fs::symlink_metadata(self.path.join(SENTINEL)) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => Ok(()),
            Ok(_) => Err(gone()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(gone()),
            Err(error) => Err(error).doing("look at the sentinel of", || self.path.display().to_string()),
        }
    }

    /// Makes everything durable that was written so far; `false` when it cannot be said that all of it is.
    ///
    /// One at a time, and never again after a failure: whoever syncs is told of what others could not write, and those
    /// others are not told again. Then each file is to be synced and asked for itself.
    pub(super) fn sync_everything(&self) -> bool {
        let mut usable = self.syncs_whole.lock().unwrap_or_else(PoisonError::into_inner);
        if *usable && let Err(error) = self.folder.sync_filesystem() {
            tracing::error!(%error, folder = %self.path.display(), "the disk did not take everything that was written");
            *usable = false;
        }
        *usable
    }

    /// Whether it is mounted, and has room for so many bytes beside the reserve. A good answer is kept for a moment, as
    /// far as its room goes; a bad one is asked for again each time, so that work goes on as soon as there is room.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = known.as_mut().filter(|room| room.at.elapsed() < FRESH && room.spare >= bytes) {
            room.spare -= bytes;
            return Ok(());
        }
        *known = None;
        self.check_mounted()?;
        let (free, inodes) =
            self.folder.room().doing("ask for the free space of", || self.path.display().to_string())?;
        match free.checked_sub(self.minimum_free).and_then(|spare| spare.checked_sub(bytes)) {
            Some(spare) if inodes => *known = Some(Room { at: Instant::now(), spare }),
            _ => return Err(StoreError::Full(self.path.clone())),
        }
        Ok(())
    }

    /// Bytes that are free, the reserve included.
    pub(super) fn free_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.folder.room().doing("ask for the free space of", || self.path.display().to_string())?.0)
    }

    /// Lets nobody else in, or says that somebody is.
    pub(super) fn lock_alone(&self) -> Result<(), StoreError> {
        let shown = || self.path.display().to_string();
        self.sentinel.unlock().doing("unlock the sentinel of", shown)?;
        let outcome = match self.sentinel.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(self.path.clone())),
            Err(TryLockError::Error(error)) => Err(error).doing("lock the sentinel of", shown),
        };
        self.sentinel.lock_shared().doing("lock the sentinel of", shown)?;
        outcome
    }
}

/// Makes the folder and those above it that are missing, each synced into the one above.
fn make_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_durably(parent)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Folder::root(parent)?.sync()
}

/// Of processes that do this at the same time the first one to be done has made it.
fn write_sentinel(folder: &Folder) -> io::Result<()> {
    let id = format!("{:032x}", fastrand::u128(..));
    let new = format!("{NEW_SENTINEL}-{id}");
    let mut file = folder.new_file(&new)?;
    writeln!(file, "id {id}")?;
    writeln!(file, "This file marks a storage folder of pacsferry. Without it nothing is written here.")?;
    file.sync_all()?;
    match folder.rename(&new, folder, SENTINEL) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.remove_file(&new)?,
        other => other?,
    }
    folder.sync()
}

/// The id in a sentinel; `None` if it holds none.
fn read_id(sentinel: &File) -> io::Result<Option<String>> {
    let mut text = String::new();
    sentinel.take(1024).read_to_string(&mut text)?;
    let id = text.lines().next().and_then(|line| line.strip_prefix("id "));
    Ok(id.filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_that_make_a_folder_at_once_all_get_the_same() {
        for _ in 0..20 {
            let temp = tempfile::tempdir().unwrap();
            let folder = temp.path().join("storage");
            let make = || Root::create(&folder, 0).unwrap().id().to_owned();
            let ids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(ids.len(), 1);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn nothing_is_made_without_being_asked() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        assert!(matches!(Root::open(&folder, 0), Err(StoreError::NotMounted(_))));
        assert!(!folder.exists());
        std::fs::create_dir_all(&folder).unwrap();
        assert!(matches!(Root::open(&folder, 0), Err(StoreError::NotMounted(_))), "an empty mount point");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_made_once_and_keeps_its_id() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let first = Root::create(&folder, 0).unwrap().id().to_owned();
        assert_eq!(Root::open(&folder, 0).unwrap().id(), first);
        assert_eq!(Root::create(&folder, 0).unwrap().id(), first);
        let other = temp.path().join("other");
        assert_ne!(Root::create(&other, 0).unwrap().id(), first);
    }

    #[test]
    fn a_folder_of_other_things_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("holiday")).unwrap();
        assert!(matches!(Root::create(temp.path(), 0), Err(StoreError::NotAStorageFolder(_))));
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_moves_away_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let (here, away) = (temp.path().join("here"), temp.path().join("away"));
        let root = Root::create(&here, 0).unwrap();
        root.check_mounted().unwrap();
        std::fs::rename(&here, &away).unwrap();
        assert!(matches!(root.check_mounted(), Err(StoreError::NotMounted(_))));
        let _another = Root::create(&here, 0).unwrap();
        assert!(matches!(root.check_mounted(), Err(StoreError::NotMounted(_))), "another folder under the same name");
        std::fs::rename(&here, temp.path().join("third")).unwrap();
        std::fs::rename(&away, &here).unwrap();
        root.check_mounted().unwrap();
    }

    #[test]
    fn the_reserve_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let root = Root::create(temp.path(), u64::MAX).unwrap();
        assert!(matches!(root.check_room(0), Err(StoreError::Full(_))));
        let roomy = Root::open(temp.path(), 1).unwrap();
        roomy.check_room(0).unwrap();
    }

    #[test]
    fn being_alone_excludes_others_both_ways() {
        let temp = tempfile::tempdir().unwrap();
        let one = Root::create(temp.path(), 0).unwrap();
        let two = Root::open(temp.path(), 0).unwrap();
        assert!(matches!(one.lock_alone(), Err(StoreError::InUse(_))));
        drop(two);
        one.lock_alone().unwrap();
        assert!(matches!(Root::open(temp.path(), 0), Err(StoreError::InUse(_))));
        drop(one);
        Root::open(temp.path(), 0).unwrap();
    }
}
