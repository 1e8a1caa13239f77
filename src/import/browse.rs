//! What folders there are, for somebody who chooses one from elsewhere: only below roots that the configuration allows.

use std::io;
use std::path::{Path, PathBuf};

/// The most folders that are listed of one.
const MOST: usize = 2000;

/// A folder, and the folders in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its absolute path, without links.
    pub path: PathBuf,
    /// The folder above it, if that may be seen too.
    pub above: Option<PathBuf>,
    /// The folders in it, by name.
    pub folders: Vec<PathBuf>,
    /// How many files lie in it, as far as was counted.
    pub files: usize,
    /// There is more in it than was looked at.
    pub more: bool,
}

/// Why a folder is not shown.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// It does not lie below an allowed root, or is not there: which of them is not told.
    #[error("this is no folder that may be looked at")]
    NotAllowed,
    /// The system does not let us look.
    #[error("the folder cannot be read")]
    Unreadable(#[source] io::Error),
}

/// What lies in a folder below one of these roots. Links are resolved first, so that none leads out. Blocks.
pub fn browse(roots: &[PathBuf], path: &Path) -> Result<Listing, BrowseError> {
    let roots: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let allowed = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    let path = path.canonicalize().ok().filter(|path| allowed(path) && path.is_dir()).ok_or(BrowseError::NotAllowed)?;
    let (mut folders, mut files, mut more) = (Vec::new(), 0, false);
    for entry in std::fs::read_dir(&path).map_err(BrowseError::Unreadable)? {
        let entry = entry.map_err(BrowseError::Unreadable)?;
        if folders.len() == MOST || files == 10 * MOST {
            more = true;
            break;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(entry.path()),
            Ok(kind) if kind.is_file() => files += 1,
            _ => {}
        }
    }
    folders.sort();
    let above = path.parent().filter(|above| allowed(above)).map(Path::to_path_buf);
    Ok(Listing { path, above, folders, files, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_a_root_is_seen() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        for folder in ["root/a", "root/b", "rootless", "secret"] {
            std::fs::create_dir_all(base.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(base.join("secret"), base.join("root/out")).unwrap();
        std::fs::File::create(base.join("root/1.dcm")).unwrap();
        let roots = [base.join("root")];
        let top = browse(&roots, &base.join("root")).unwrap();
        assert_eq!((top.folders, top.files, top.above), (vec![base.join("root/a"), base.join("root/b")], 1, None));
        assert_eq!(browse(&roots, &base.join("root/a")).unwrap().above, Some(base.join("root")));
        for outside in ["", "secret", "rootless", "root/out", "root/../secret", "root/1.dcm", "root/nothing"] {
            let seen = browse(&roots, &base.join(outside));
            assert!(matches!(seen, Err(BrowseError::NotAllowed)), "{outside}");
        }
        assert!(browse(&[], &base).is_err());
    }
}
