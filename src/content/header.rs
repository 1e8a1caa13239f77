//! The header of an object as it is shown: read through the door out, with all corrections that are in force.

use super::ContentError;
use crate::catalog::HeldInstance;
use crate::dataset::{CharacterSet, ReadError, Tree};
use crate::dicom::TransferSyntaxUid;
use crate::outlet::Outlet;

/// A header is looked at when so many bytes of the object are here, and again when there are more.
const LOOKS: [usize; 4] = [256 << 10, 1 << 20, 4 << 20, 16 << 20];
/// The most memory that a header may take.
const LARGEST: u64 = 64 << 20;
/// A signature stands at the very end of an object. Objects longer than this are not read to their end for it.
const LONGEST_TO_END: u64 = 64 << 20;
/// So much of the end is looked through.
const TAIL: usize = 64 << 10;

/// What an object says of itself.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Its header, up to the pixel data.
    pub(super) header: Tree,
    /// Whether a Digital Signatures Sequence (FFFA,FFFA) was seen.
    pub(super) signed: bool,
}

/// Reads what an object says of itself.
pub(super) async fn read(outlet: &Outlet, held: HeldInstance) -> Result<Shown, ContentError> {
    let (syntax, to_end) = (held.transfer_syntax.clone(), held.length <= LONGEST_TO_END);
    let unreadable = |source| ContentError::Header { instance: held.instance.clone(), source };
    let mut departing = outlet.open(held.clone(), &syntax);
    let (mut head, mut tail, mut header) = (Vec::new(), Vec::new(), None);
    let mut looks = LOOKS.into_iter().peekable();
    while let Some(piece) = departing.piece().await? {
        if to_end {
            tail.extend_from_slice(&piece);
            let surplus = tail.len().saturating_sub(TAIL);
            tail.drain(..surplus);
        }
        if header.is_none() {
            head.extend_from_slice(&piece);
            while looks.next_if(|enough| head.len() >= *enough).is_some() {
                header = begin_of(&head, &syntax).map_err(unreadable)?;
            }
            if header.is_none() && looks.peek().is_none() {
                return Err(unreadable(ReadError::TooLong { offset: 0, limit: head.len() as u64 }));
            }
        }
        if header.is_some() && !to_end {
            break;
        }
    }
    let header = match header {
        Some(header) => header,
        None => tree_of(&head, &syntax).map_err(unreadable)?,
    };
    Ok(Shown { signed: to_end && is_signed(&tail), header })
}

/// The header, if it ends within the bytes that are here.
fn begin_of(head: &[u8], syntax: &TransferSyntaxUid) -> Result<Option<Tree>, ReadError> {
    match tree_of(head, syntax) {
        Ok(tree) => Ok(Some(tree)),
        Err(ReadError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tree_of(head: &[u8], syntax: &TransferSyntaxUid) -> Result<Tree, ReadError> {
    Tree::read(head, syntax, &CharacterSet::ascii(), LARGEST)
}

/// Whether the tag of the sequence is in sight, in either byte order, with a VR or a length behind it.
fn is_signed(tail: &[u8]) -> bool {
    tail.windows(8).any(|bytes| {
        matches!(bytes, [0xFA, 0xFF, 0xFA, 0xFF, b'S', b'Q', ..] | [0xFF, 0xFA, 0xFF, 0xFA, b'S', b'Q', ..])
            || matches!(bytes, [0xFA, 0xFF, 0xFA, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] | [0xFA, 0xFF, 0xFA, 0xFF, _, _, 0, 0])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_seen_in_every_encoding_and_pixels_are_none() {
        let mut tail = vec![0x80; 1000];
        assert!(!is_signed(&tail));
        tail.extend([0xFA, 0xFF, 0xFA, 0xFF]);
        assert!(!is_signed(&tail), "without anything behind it");
        for rest in [&b"SQ\0\0"[..], &[0xFF; 4], &[24, 1, 0, 0]] {
            let bytes = [tail.as_slice(), rest].concat();
            assert!(is_signed(&bytes), "{rest:?}");
        }
        assert!(is_signed(b"\xFF\xFA\xFF\xFASQ\0\0"));
    }
}
