//! What an import of folders is asked for, checked before a job is made of it.

use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::ImportHow;
use crate::import::{outermost, shown};

/// Why folders cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there, or may not be read.
    #[error("the folder {folder} cannot be opened: {error}")]
    Unreadable {
        /// Which.
        folder: String,
        /// What the system said.
        error: io::Error,
    },
    /// A file, say.
    #[error("{folder} is not a folder")]
    NoFolder {
        /// What.
        folder: String,
    },
    /// Part of the storage folder.
    #[error("{folder} is where the program keeps what it has not filed")]
    NotFiled {
        /// Which.
        folder: String,
    },
    /// Two things at once.
    #[error("some of the folders lie in the storage folder and some do not")]
    Mixed,
    /// Nobody said what becomes of the files.
    #[error("say what is to become of the files")]
    NoWay,
}

impl FolderError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            FolderError::Unreadable { .. } => "check its name, its permissions, and whether its disk is mounted",
            FolderError::NoFolder { .. } => "name the folder that holds the files",
            FolderError::NotFiled { .. } => {
                "see `pacsferry quarantine list`; what is in incoming is seen to by the next worker"
            }
            FolderError::Mixed => "import them one after the other",
            FolderError::NoWay => "--copy copies them into the storage folder, --link leaves them where they are",
        }
    }
}

/// The folders as a job has them, absolute, without links and without those that lie in others, and what becomes of the
/// files: those of the storage folder are in their place already, whatever was asked for. Blocks.
pub fn folders_of(
    storage: &Path,
    folders: &[PathBuf],
    how: Option<ImportHow>,
) -> Result<(Vec<PathBuf>, ImportHow), FolderError> {
    let folders = outermost(folders.iter().map(|folder| real(folder)).collect::<Result<_, _>>()?);
    let storage = storage.canonicalize().unwrap_or_else(|_| storage.to_path_buf());
    let kept = ["incoming", "quarantine"].map(|part| storage.join(part));
    if let Some(folder) = folders.iter().find(|folder| kept.iter().any(|kept| folder.starts_with(kept))) {
        return Err(FolderError::NotFiled { folder: shown(folder) });
    }
    let inside = folders.iter().filter(|folder| folder.starts_with(&storage)).count();
    let how = match inside {
        0 => how.ok_or(FolderError::NoWay)?,
        _ if inside == folders.len() => ImportHow::Own,
        _ => return Err(FolderError::Mixed),
    };
    Ok((folders, how))
}

/// The absolute path of a folder that is there, without links.
fn real(folder: &Path) -> Result<PathBuf, FolderError> {
    let real = folder.canonicalize().map_err(|error| FolderError::Unreadable { folder: shown(folder), error })?;
    if real.is_dir() { Ok(real) } else { Err(FolderError::NoFolder { folder: shown(folder) }) }
}
