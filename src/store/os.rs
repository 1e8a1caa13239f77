//! What the storage folder asks of the operating system, in one place. Every path is opened from the folder above it,
//! never following a link, so that nobody can lead a write elsewhere.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, Advice, AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File systems by their magic numbers.
const EXT: u32 = 0xEF53;
const XFS: u32 = 0x5846_5342;
const BTRFS: u32 = 0x9123_683E;

/// A folder that is held open.
#[derive(Debug, Clone)]
pub(super) struct Folder(Arc<File>);

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Other,
}

const HOLD: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the storage folder itself; here, and only here, links are followed.
    pub(super) fn root(path: &Path) -> io::Result<Folder> {
        Ok(Folder::of(rustix::fs::openat(CWD, path, HOLD, Mode::empty())?))
    }

    fn of(fd: OwnedFd) -> Folder {
        Folder(Arc::new(File::from(fd)))
    }

    /// Opens a folder in this one.
    pub(super) fn folder(&self, name: &str) -> io::Result<Folder> {
        Ok(Folder::of(rustix::fs::openat(&*self.0, name, HOLD | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Opens a folder in this one and makes it if it is not there; says whether it was made.
    pub(super) fn folder_or_new(&self, name: &str) -> io::Result<(Folder, bool)> {
        match self.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(|folder| (folder, false)),
        }
        let made = match rustix::fs::mkdirat(&*self.0, name, Mode::from_bits_truncate(0o750)) {
            Ok(()) => true,
            // Another process was quicker; whether it has synced the folder is not known.
            Err(Errno::EXIST) => true,
            Err(error) => return Err(error.into()),
        };
        Ok((self.folder(name)?, made))
    }

    /// Opens a file below this folder for reading.
    pub(super) fn file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(File::from(rustix::fs::openat(&*self.0, name, flags, Mode::empty())?))
    }

    /// Makes a file that is written once, by this handle: nobody can open it for writing again.
    pub(super) fn new_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&*self.0, name, flags, Mode::from_bits_truncate(0o440))?))
    }

    /// Opens a file that only grows, or stays empty, and makes it if it is not there.
    pub(super) fn growing_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&*self.0, name, flags, Mode::from_bits_truncate(0o640))?))
    }

    /// Opens a file that is written at places of its own choosing, and makes it if it is not there.
    pub(super) fn own_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&*self.0, name, flags, Mode::from_bits_truncate(0o640))?))
    }

    /// Gives a file of this folder a new name in another one, unless the name is taken (`AlreadyExists`).
    pub(super) fn rename(&self, name: &str, to: &Folder, new: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(&*self.0, name, &*to.0, new, RenameFlags::NOREPLACE) {
            // Some file systems know no flags; a link is as exclusive as that.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rustix::fs::linkat(&*self.0, name, &*to.0, new, AtFlags::empty())?;
                self.remove_file(name)
            }
            other => Ok(other?),
        }
    }

    /// Gives a file of this folder the name of another one, which goes.
    pub(super) fn rename_over(&self, name: &str, to: &Folder, new: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&*self.0, name, &*to.0, new)?)
    }

    /// Removes a file; one that is gone already is no error.
    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&*self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&*self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// The names in this folder and what they are, sorted.
    pub(super) fn entries(&self) -> io::Result<Vec<(String, Kind)>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&*self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                // Not a name that the layout makes: nothing of ours.
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(name)?,
                known => kind_of(known),
            };
            entries.push((name.to_owned(), kind));
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// What has this name; links are not followed.
    pub(super) fn kind(&self, name: &str) -> io::Result<Kind> {
        let stat = rustix::fs::statat(&*self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(kind_of(FileType::from_raw_mode(stat.st_mode)))
    }

    /// Whether there is something with this name.
    pub(super) fn holds(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::accessat(&*self.0, name, Access::EXISTS, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in this folder durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Makes everything durable that was written to the file system of this folder, by whomever.
    pub(super) fn sync_filesystem(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&*self.0)?)
    }

    /// Whether [`Folder::sync_filesystem`] can be relied on: a local file system that has the disk flushed, and a
    /// system that tells of what could not be written (Linux since 5.8).
    pub(super) fn can_sync_filesystem(&self) -> bool {
        let Ok(found) = rustix::fs::fstatfs(&*self.0) else { return false };
        let release = rustix::system::uname();
        let mut numbers = release.release().to_bytes().split(|byte| !byte.is_ascii_digit());
        let mut number = || numbers.next().and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
        let tells = matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= (5, 8));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers have 32 bits")]
        let kind = found.f_type as u32;
        tells && matches!(kind, EXT | XFS | BTRFS)
    }

    /// The handle, for whoever syncs it elsewhere.
    pub(super) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.0)
    }

    /// Bytes that may still be written here, and whether there are inodes left.
    pub(super) fn room(&self) -> io::Result<(u64, bool)> {
        let stat = rustix::fs::fstatvfs(&*self.0)?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_files == 0 || stat.f_favail > 0))
    }
}

/// Asks the system to write these bytes to the disk now, without waiting for it, so that the sync that follows is
/// short and several files are written at once. Only a wish: what comes of it is told by the sync.
pub(super) fn start_writing_out(file: &File, from: u64, to: u64) {
    if let Some(length) = NonZeroU64::new(to.saturating_sub(from)) {
        // To give up pages that are not yet written begins to write them.
        let _ = rustix::fs::fadvise(file, from, Some(length), Advice::DontNeed);
    }
}

/// Makes an empty file share the blocks of another one, where the file system can; `false` where it cannot.
pub(super) fn clone_file(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

/// Lets the system use the memory for something else in which it keeps a file that is durable. Only a wish.
pub(super) fn give_up_pages(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
}

/// How many files this process may have open at once. It asks for as many as it may ask for.
pub fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // What is refused leaves the limit as it was.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

fn kind_of(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        _ => Kind::Other,
    }
}
