//! Linked files on their way into the storage folder: the catalog knows what they are, and they are copied as they are.

use super::copy::{Copied, Original};
use super::error::Doing;
use super::examine::nobody;
use super::incoming::{Content, There};
use super::read::digest_of;
use super::receive::scan_file;
use super::source::unreadable;
use super::{Digest, Incoming, Link, Store, StoreError};
use crate::dataset::{CharacterSet, Part10, read_part10_head};
use crate::dicom::{Identity, TransferSyntaxUid};

/// Where the magic word of a file stands.
const MAGIC: std::ops::Range<usize> = 128..132;
/// More than any head that may stand before a copy takes.
const LONGEST_HEAD: u64 = 64 * 1024;

impl Store {
    /// Copies a linked file, which must have the digest that is known of it; where none is, it must be what it was when it
    /// was linked. One that lies in the storage folder where it could have been filed stays there. Blocking.
    pub fn adopt(
        &self,
        link: &Link,
        identity: &Identity,
        transfer_syntax: &TransferSyntaxUid,
        known: Option<Digest>,
    ) -> Result<Incoming, StoreError> {
        // Where the digest vouches for the bytes, their time means nothing.
        let link = &Link { modified: link.modified.filter(|_| known.is_none()), ..link.clone() };
        let file = link.open()?;
        let head = read_beginning(&file, link)?;
        let head_is_sound = is_sound(&head, link, identity, transfer_syntax);
        let header = scan_file(&file, link.offset, transfer_syntax, &CharacterSet::ascii()).header;
        let origin = nobody();
        let copied = match self.own_place(link).filter(|_| head_is_sound) {
            Some(own) => {
                let (digest, _) = digest_of(&file, link.offset).map_err(|error| unreadable(&link.path, error))?;
                file.sync_data().doing("sync", || own.to_string())?;
                let there = There { link: link.clone(), own: Some(own), head_is_sound };
                Copied { digest, file_size: link.size, content: Content::There(there) }
            }
            None => self.copy_file(&Original {
                file: link,
                head_is_sound,
                class: &identity.class,
                instance: &identity.instance,
                transfer_syntax,
                origin: &origin,
            })?,
        };
        if known.is_some_and(|known| known != copied.digest) {
            return Err(StoreError::LinkChanged { path: link.path.clone() });
        }
        Ok(Incoming {
            identity: identity.clone(),
            header,
            scan: Ok(()),
            digest: Some(copied.digest),
            length: link.length(),
            file_size: copied.file_size,
            transfer_syntax: transfer_syntax.clone(),
            origin,
            mismatch: None,
            set_aside: None,
            restores: None,
            content: copied.content,
        })
    }
}

fn read_beginning(file: &std::fs::File, link: &Link) -> Result<Vec<u8>, StoreError> {
    use std::io::Read;
    let mut head = Vec::new();
    let mut beginning = super::receive::DataSet { file, offset: 0 }.take(link.offset.min(LONGEST_HEAD));
    beginning.read_to_end(&mut head).map_err(|error| unreadable(&link.path, error))?;
    // What follows the head tells where it ends.
    let mut rest = super::receive::DataSet { file, offset: link.offset }.take(64);
    rest.read_to_end(&mut head).map_err(|error| unreadable(&link.path, error))?;
    Ok(head)
}

/// Whether a head says what the catalog says.
fn is_sound(head: &[u8], link: &Link, identity: &Identity, syntax: &TransferSyntaxUid) -> bool {
    let Ok(Part10 { data_set_offset, transfer_syntax, sop_class, sop_instance, .. }) = read_part10_head(head) else {
        return false;
    };
    head.get(MAGIC) == Some(b"DICM")
        && data_set_offset == link.offset
        && transfer_syntax.as_ref() == Some(syntax)
        && sop_class.is_some_and(|class| class.as_str() == identity.class.as_str())
        && sop_instance.is_some_and(|instance| instance.as_str() == identity.instance.as_str())
}
