//! Files that stay where they are: they are read, and a row points to them.

use super::error::Doing;
use super::incoming::{Content, There};
use super::read::digest_of;
use super::source::{check_unchanged, open_unchanged, unreadable};
use super::{Digest, Incoming, Link, RelativePath, SourceFile, Store, StoreError};

impl Store {
    /// Takes a file in by pointing to it, after its header was read; its data set is digested where that is asked for.
    /// A file that is not what it was when it was scanned is still being written ([`StoreError::SourceChanged`]).
    pub fn link(&self, from: SourceFile, digest: bool) -> Result<Incoming, StoreError> {
        let link = from.link();
        let digest = if digest { Some(digest_source(&link)?) } else { look(&link).map(|()| None)? };
        let (size, head_is_sound) = (from.size, from.head_is_sound);
        Ok(from.incoming(digest, size, Content::There(There { link, own: None, head_is_sound })))
    }

    /// Takes a file in that lies in the storage folder already. Where it could have been filed there by this program, it
    /// is from now on; elsewhere in the folder it is linked.
    pub fn own(&self, from: SourceFile) -> Result<Incoming, StoreError> {
        let link = from.link();
        let Some(own) = self.own_place(&link).filter(|_| from.head_is_sound) else {
            return self.link(from, true);
        };
        let (file, head) = self.open_part10(&own)?;
        if head.data_set_offset != link.offset {
            return self.link(from, true);
        }
        let (digest, _) = digest_of(&file, link.offset).map_err(|error| unreadable(&link.path, error))?;
        file.sync_data().doing("sync", || own.to_string())?;
        check_unchanged(&link, &file.metadata().map_err(|error| unreadable(&link.path, error))?)?;
        let (size, head_is_sound) = (from.size, from.head_is_sound);
        Ok(from.incoming(Some(digest), size, Content::There(There { link, own: Some(own), head_is_sound })))
    }

    /// Digests a file that was to be linked without. Blocking.
    pub fn digest_incoming(&self, incoming: &mut Incoming) -> Result<(), StoreError> {
        if let (None, Content::There(there)) = (incoming.digest, &incoming.content) {
            incoming.digest = Some(digest_source(&there.link)?);
        }
        Ok(())
    }

    /// The place in the storage folder that a path leads to.
    pub(super) fn own_place(&self, file: &Link) -> Option<RelativePath> {
        let root = std::fs::canonicalize(self.folder()).ok()?;
        let below = file.path.strip_prefix(root).ok()?.to_str()?;
        RelativePath::parse(below).ok().filter(|place| !place.is_quarantine())
    }
}

/// Whether the file is there, a regular one, and what it was when it was scanned.
fn look(file: &Link) -> Result<(), StoreError> {
    let now = std::fs::symlink_metadata(&file.path).map_err(|error| unreadable(&file.path, error))?;
    if !now.is_file() {
        return Err(unreadable(&file.path, std::io::Error::other("it is no regular file")));
    }
    check_unchanged(file, &now)
}

fn digest_source(link: &Link) -> Result<Digest, StoreError> {
    let file = open_unchanged(link)?;
    let (digest, _) = digest_of(&file, link.offset).map_err(|error| unreadable(&link.path, error))?;
    check_unchanged(link, &file.metadata().map_err(|error| unreadable(&link.path, error))?)?;
    Ok(digest)
}

impl SourceFile {
    /// As what has come in, once it is known what became of its bytes.
    pub(super) fn incoming(self, digest: Option<Digest>, file_size: u64, content: Content) -> Incoming {
        let length = self.length();
        let SourceFile { transfer_syntax, identity, header, origin, .. } = self;
        Incoming {
            identity,
            header,
            scan: Ok(()),
            digest,
            length,
            file_size,
            transfer_syntax,
            origin,
            mismatch: None,
            set_aside: None,
            restores: None,
            content,
        }
    }
}
