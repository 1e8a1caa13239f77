//! One value out of a data set by the place that its BulkDataURI names.

use std::io::{self, Read};

use super::super::convert::choice::{self, Context};
use super::super::input::Input;
use super::super::tree::items_behind;
use super::super::vr;
use super::super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use super::super::{ReadError, tree::is_fragments};
use super::inflated;
use crate::dicom::{Tag, TransferSyntaxUid};

/// Where a value stands: `00420011`, or in items of sequences `54000100/0/54001010`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePath {
    sequences: Vec<(Tag, usize)>,
    tag: Tag,
}

/// What is known of a value before its bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundValue {
    /// Its value representation.
    pub vr: [u8; 2],
    /// Its length in bytes.
    pub length: u32,
}

impl ValuePath {
    /// Reads the text of one; `None` of anything else.
    pub fn parse(text: &str) -> Option<ValuePath> {
        let parts: Vec<&str> = text.split('/').collect();
        let (last, before) = parts.split_last()?;
        if before.len() % 2 != 0 || before.len() > 2 * DEEPEST {
            return None;
        }
        let step = |pair: &[&str]| match pair {
            [tag, item] => Some((tag_of(tag)?, item.parse().ok()?)),
            _ => None,
        };
        Some(ValuePath { sequences: before.chunks(2).map(step).collect::<Option<_>>()?, tag: tag_of(last)? })
    }

    /// The element, where it is one of the data set itself.
    pub fn top(&self) -> Option<Tag> {
        self.sequences.is_empty().then_some(self.tag)
    }
}

fn tag_of(text: &str) -> Option<Tag> {
    let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8)?;
    let [a, b, c, d] = number.to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Finds a value and hands its bytes over, numbers as Little Endian; `None` where there is none. What is wrong with the
/// data set after that comes as an error of the reader, which is a [`ReadError`] inside.
pub fn find_value<R: Read, T>(
    reader: R,
    syntax: &TransferSyntaxUid,
    path: &ValuePath,
    then: impl FnOnce(FoundValue, &mut dyn Read) -> T,
) -> Result<Option<T>, ReadError> {
    inflated(reader, syntax, |input, mut syntax| {
        let mut context = Context::default();
        for (tag, item) in &path.sequences {
            let Some((head, vr)) = element(input, syntax, *tag, &mut context)? else { return Ok(None) };
            let Some(inner) = items_behind(input, &head, vr, syntax)? else { return Ok(None) };
            let Some(inner) = enter(input, inner, *item)? else { return Ok(None) };
            syntax = inner;
        }
        let Some((head, vr)) = element(input, syntax, path.tag, &mut context)? else { return Ok(None) };
        let (Some(length), None) = (head.length, items_behind(input, &head, vr, syntax)?) else { return Ok(None) };
        let unit = if syntax.big { vr::unit(vr) } else { 1 };
        let mut value = Value { input, left: length, unit };
        Ok(Some(then(FoundValue { vr: vr::known(head.tag, vr), length }, &mut value)))
    })
}

/// Goes on to an element of the data set or item at hand.
fn element<R: Read>(
    input: &mut Input<R>,
    syntax: Syntax,
    wanted: Tag,
    context: &mut Context,
) -> Result<Option<(Head, vr::Vr)>, ReadError> {
    while let Some(head) = Head::read(input, syntax)? {
        match head.tag {
            ITEM_END | SEQUENCE_END | ITEM => return Ok(None),
            tag if tag == wanted && !is_fragments(&head) => return Ok(Some((head, choice::vr_of(&head, context)))),
            tag if tag > wanted => return Ok(None),
            tag => {
                context.note(tag, input.ahead(2)?, head.length.unwrap_or(0), syntax);
                wire::skip_value(input, &head, syntax)?;
            }
        }
    }
    Ok(None)
}

/// Goes on to the elements of an item of the sequence at hand; how they are encoded.
fn enter<R: Read>(input: &mut Input<R>, syntax: Syntax, wanted: usize) -> Result<Option<Syntax>, ReadError> {
    for number in 0.. {
        match Head::read(input, syntax)? {
            Some(head) if head.tag == ITEM && number == wanted => return Ok(Some(wire::item_syntax(input, syntax)?)),
            Some(head) if head.tag == ITEM => match head.length {
                Some(length) => wire::skip(input, length, ITEM)?,
                None => {
                    let inner = wire::item_syntax(input, syntax)?;
                    while let Some(head) = Head::read(input, inner)?.filter(|head| head.tag != ITEM_END) {
                        wire::skip_value(input, &head, inner)?;
                    }
                }
            },
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The bytes of a value; its numbers are turned round where they are Big Endian.
struct Value<'a, R> {
    input: &'a mut Input<R>,
    left: u32,
    unit: usize,
}

impl<R: Read> Read for Value<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if self.unit == 1 || most < self.unit {
            let read = self.input.read(out.get_mut(..most).unwrap_or_default())?;
            if read == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= u32::try_from(read).unwrap_or(self.left);
            return Ok(read);
        }
        let whole = out.get_mut(..most - most % self.unit).unwrap_or_default();
        self.input.read_exact(whole)?;
        vr::swap(whole, self.unit);
        self.left -= u32::try_from(whole.len()).unwrap_or(self.left);
        Ok(whole.len())
    }
}
