//! A copy of the database while it is in use.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::{DbError, connect};

/// Pages copied at a time.
const STEP: i32 = 4096;

/// Copies into a file beside the target, syncs it, and only then gives it its name: a file of that name is a whole one.
pub(super) fn run(from: &Path, to: &Path) -> Result<(), DbError> {
    let exists = || std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    if to.exists() {
        return Err(DbError::file("could not write the backup", to, exists()));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = Path::new(&name);
    remove(partial)?;
    let copied = copy(from, partial).and_then(|()| name_it(partial, to));
    if copied.is_err()
        && let Err(error) = remove(partial)
    {
        tracing::warn!(path = %partial.display(), %error, "the unfinished backup could not be removed");
    }
    copied
}

/// Removes what an earlier backup may have left unfinished.
fn remove(partial: &Path) -> Result<(), DbError> {
    match fs::remove_file(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DbError::file("could not remove the unfinished backup", partial, error))
        }
        _ => Ok(()),
    }
}

/// One snapshot is held while the pages are copied, so that writers neither wait nor make the copy begin again.
#[expect(clippy::disallowed_methods, reason = "db opens connections")]
fn copy(from: &Path, partial: &Path) -> Result<(), DbError> {
    connect::make_file(partial)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(partial, flags)?;
    let source = connect::reader(from)?;
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Backup::new(&snapshot, &mut target)?.run_to_completion(STEP, Duration::ZERO, None)?;
    snapshot.finish()?;
    // The copy is one file: nobody shall have to know of a WAL beside it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn name_it(partial: &Path, to: &Path) -> Result<(), DbError> {
    let failed = |e| DbError::file("could not write the backup", to, e);
    File::open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(partial, to).map_err(failed)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
