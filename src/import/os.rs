//! What a folder of strangers asks of the operating system, in one place. A folder is opened part by part from the
//! root, never following a link, so that nobody can lead the walk elsewhere or round in a circle.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

/// Folders within folders; no real archive has so many, and a circle has more.
const DEEPEST: usize = 256;

/// A folder that is held open.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub size: u64,
    /// When it was written, in nanoseconds of unix time.
    pub modified: i64,
}

const HERE: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// On the way to a folder only the right to pass is needed.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlags = HERE.union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlags = HERE;

impl Folder {
    /// Opens a folder by its absolute path, in which no part is a link.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let mut at = rustix::fs::openat(CWD, "/", ON_THE_WAY, Mode::empty())?;
        let mut above = Vec::new();
        let parts: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        if parts.len() > DEEPEST {
            return Err(io::Error::other(format!("folders are nested deeper than {DEEPEST} levels")));
        }
        for name in parts {
            let stat = rustix::fs::fstat(&at)?;
            above.push((stat.st_dev, stat.st_ino));
            at = rustix::fs::openat(&at, name, ON_THE_WAY, Mode::empty())?;
        }
        let at = rustix::fs::openat(&at, ".", HERE | OFlags::RDONLY, Mode::empty())?;
        let stat = rustix::fs::fstat(&at)?;
        if above.contains(&(stat.st_dev, stat.st_ino)) {
            return Err(io::Error::other("the folder lies within itself (a loop of mounts)"));
        }
        Ok(Folder(at))
    }

    /// What lies in it, in the order of the system, without `.` and `..`.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<OsString>> + Send + use<>> {
        let names = Dir::read_from(&self.0)?.map(|entry| {
            let entry = entry?;
            Ok(OsString::from_vec(entry.file_name().to_bytes().to_vec()))
        });
        Ok(names.filter(|name| !matches!(name, Ok(name) if matches!(name.as_bytes(), b"." | b".."))))
    }

    /// What an entry is; of a link, that it is one.
    pub fn look(&self, name: &OsStr) -> io::Result<Look> {
        Ok(look_of(&rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Opens a file for reading. Neither a link nor a pipe is opened in its place.
    pub fn file(&self, name: &OsStr) -> io::Result<(File, Look)> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let look = look_of(&rustix::fs::fstat(&file)?);
        if look.kind != Kind::File {
            return Err(io::Error::other("it is no longer a regular file"));
        }
        Ok((File::from(file), look))
    }

    /// A folder in this one.
    pub fn folder(&self, name: &OsStr) -> io::Result<Folder> {
        Ok(Folder(rustix::fs::openat(&self.0, name, HERE | OFlags::RDONLY, Mode::empty())?))
    }
}

fn look_of(stat: &Stat) -> Look {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    let time = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    Look {
        kind,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: time(stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
    }
}

/// The type of this number is another one on each platform.
fn nanoseconds(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(0)
}

impl Look {
    /// Whether it was written so shortly before `now` (in the same nanoseconds) that somebody may be writing it still. A
    /// time that lies ahead tells nothing.
    pub fn is_young(&self, now: i64, settle: std::time::Duration) -> bool {
        let settle = i64::try_from(settle.as_nanos()).unwrap_or(i64::MAX);
        (now.saturating_sub(settle)..=now).contains(&self.modified)
    }
}
