//! The header of an object as it is shown: read through the door out, with all corrections that are in force.

use super::ContentError;
use super::attributes::{PATIENT, STUDY};
use crate::catalog::HeldInstance;
use crate::dataset::{CharacterSet, ReadError, Tree};
use crate::dicom::TransferSyntaxUid;
use crate::outlet::Outlet;

/// A header is looked at when so many bytes of the object are here, and again when there are more.
const LOOKS: [usize; 4] = [256 << 10, 1 << 20, 4 << 20, 16 << 20];
/// The most memory that a header may take.
const LARGEST: u64 = 64 << 20;
/// A signature stands at the very end of an object. Objects longer than this are not read to their end for it.
pub(super) const LONGEST_TO_END: u64 = 64 << 20;
/// So much of the end is looked through.
const TAIL: usize = 64 << 10;

/// How much of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What stands before its pixel data.
    Header,
    /// All of it, since a signature stands behind them.
    ToTheEnd,
}

/// What an object says of itself.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Its header, up to the pixel data.
    pub(super) header: Tree,
    /// Whether a Digital Signatures Sequence (FFFA,FFFA) was seen.
    pub(super) signed: bool,
    /// Whether there are texts of which nobody says in which character set they are.
    pub(super) guessed: bool,
}

/// Reads what an object says of itself; `charset` is what is meant where it names none.
pub(super) async fn read(
    outlet: &Outlet,
    held: HeldInstance,
    charset: &CharacterSet,
    extent: Extent,
) -> Result<Shown, ContentError> {
    let (syntax, to_end) = (held.transfer_syntax.clone(), extent == Extent::ToTheEnd);
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
                header = begin_of(&head, &syntax, charset).map_err(unreadable)?;
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
        None => tree_of(&head, &syntax, charset).map_err(unreadable)?,
    };
    let guessed = is_guessed(&head, &syntax, charset, &header);
    Ok(Shown { signed: to_end && is_signed(&tail), guessed, header })
}

/// The header, if it ends within the bytes that are here.
fn begin_of(head: &[u8], syntax: &TransferSyntaxUid, charset: &CharacterSet) -> Result<Option<Tree>, ReadError> {
    match tree_of(head, syntax, charset) {
        Ok(tree) => Ok(Some(tree)),
        Err(ReadError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tree_of(head: &[u8], syntax: &TransferSyntaxUid, charset: &CharacterSet) -> Result<Tree, ReadError> {
    Tree::read(head, syntax, charset, LARGEST)
}

/// Whether nobody says in which character set the texts are: what reads otherwise in another one names none.
fn is_guessed(head: &[u8], syntax: &TransferSyntaxUid, charset: &CharacterSet, header: &Tree) -> bool {
    let other = || tree_of(head, syntax, &CharacterSet::from_terms("ISO_IR 144"));
    *charset == CharacterSet::ascii() && !is_ascii(header) && other().is_ok_and(|other| differs(&other, header))
}

/// Whether the texts that a move is about are ASCII.
fn is_ascii(header: &Tree) -> bool {
    told(header).all(|text| text.is_ascii())
}

fn differs(one: &Tree, other: &Tree) -> bool {
    !told(one).eq(told(other))
}

/// The texts of patient and study.
fn told(header: &Tree) -> impl Iterator<Item = &str> {
    PATIENT.iter().chain(STUDY).filter_map(|tag| header.text(*tag))
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
    use crate::dicom::tags;

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

    #[test]
    fn letters_without_a_character_set_are_a_guess() {
        let syntax = TransferSyntaxUid::new(crate::dicom::uids::EXPLICIT_LE);
        let written = |name: &str| {
            let mut tree = Tree::new();
            tree.put_text(tags::PATIENT_NAME, name).put_text(tags::SERIES_DESCRIPTION, "x");
            tree.write(crate::dicom::Encoding::ExplicitLe)
        };
        let guessed = |bytes: &[u8], charset: &CharacterSet| {
            is_guessed(bytes, &syntax, charset, &tree_of(bytes, &syntax, charset).unwrap())
        };
        let ascii = CharacterSet::ascii();
        assert!(!guessed(&written("Mueller^Eva"), &ascii) && !guessed(&written("Müller^Eva"), &ascii), "declared");
        let mut latin = written("M?ller^Eva");
        for byte in latin.iter_mut().filter(|byte| **byte == b'?') {
            *byte = 0xFC;
        }
        assert!(guessed(&latin, &ascii));
        assert!(!guessed(&latin, &CharacterSet::from_terms("ISO_IR 100")), "the source is configured");
    }
}
