//! Locks on names, held against other processes that use the same database.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_UNLCK, F_WRLCK, SEEK_SET, flock};

use super::{DbError, wait};

/// One holder of locks on names. Each name is a byte of a file beside the database, by its hash, and the system gives
/// up the locks of a holder that is dropped or killed. They belong to the holder, not to the process: two holders keep
/// each other out wherever they are, and a lock that a holder has it gets again.
#[derive(Debug)]
pub struct Locks {
    file: File,
    path: PathBuf,
}

impl Locks {
    pub(super) fn open(database: &Path) -> Result<Locks, DbError> {
        let mut path = OsString::from(database);
        path.push("-locks");
        let path = PathBuf::from(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(&path);
        let file = file.map_err(|error| DbError::file("could not open the locks", &path, error))?;
        Ok(Locks { file, path })
    }

    /// Takes the lock on a name unless another holder has it; `false` if one has.
    pub fn try_lock(&self, name: &str) -> Result<bool, DbError> {
        match self.set(name, F_WRLCK) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(DbError::file("could not lock a name in", &self.path, error.into())),
        }
    }

    /// Takes the lock on a name, and waits as a transaction does while another holder has it.
    pub(super) fn lock(&self, name: &str) -> Result<(), DbError> {
        let mut patience = wait::patience(wait::LONGEST);
        let mut tries = 0;
        while !self.try_lock(name)? {
            if !patience(tries) {
                return Err(DbError::Busy(wait::LONGEST));
            }
            tries += 1;
        }
        Ok(())
    }

    /// Gives the lock on a name back.
    pub fn unlock(&self, name: &str) -> Result<(), DbError> {
        self.set(name, F_UNLCK).map_err(|error| DbError::file("could not unlock a name in", &self.path, error.into()))
    }

    fn set(&self, name: &str, kind: i32) -> Result<(), Errno> {
        let mut hash = [0; 8];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut hash);
        // Positive, with room for the end of the range behind it.
        let start = i64::from_le_bytes(hash) & (i64::MAX >> 1);
        #[expect(clippy::cast_possible_truncation, reason = "constants of the C library that fit the field's type")]
        let range = flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: start, l_len: 1, l_pid: 0 };
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let database = temp.path().join("catalog.db");
        let (one, two) = (Locks::open(&database).unwrap(), Locks::open(&database).unwrap());
        assert!(one.try_lock("1.2.3").unwrap());
        assert!(one.try_lock("1.2.3").unwrap(), "its own lock is no obstacle");
        assert!(!two.try_lock("1.2.3").unwrap());
        assert!(two.try_lock("1.2.4").unwrap());
        one.unlock("1.2.3").unwrap();
        assert!(two.try_lock("1.2.3").unwrap());
        drop(two);
        assert!(one.try_lock("1.2.4").unwrap(), "whoever is gone holds nothing");
    }
}
