//! A data set in the DICOM JSON Model (PS3.18 annex F), written while it is read, up to its pixel data: bounded, and
//! without recursion. What is large or binary is named by an address instead, from which [`find_value`] gets it.

mod find;
mod value;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Read;

use super::convert::choice::{self, Context};
use super::inflate::Inflate;
use super::input::{Input, WINDOW};
use super::tree::{is_fragments, items_behind};
use super::vr::{self, Vr};
use super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use super::{CharacterSet, ReadError};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, encoding_of, tags};

pub use find::{FoundValue, ValuePath, find_value};

/// The longest header that is told, in bytes of the data set and of JSON: encapsulated documents count here too.
const LONGEST: u64 = 2 << 30;
const LONGEST_JSON: usize = 64 << 20;
/// What a deflated data set may inflate to, and so many times what it has.
const INFLATED: u64 = 64 << 20;
const RATIO: u64 = 256;
/// Longer values are named by an address: texts, and what is binary.
const LONGEST_TEXT: u32 = 64 << 10;
const LONGEST_BINARY: u32 = 1 << 10;

/// Appends the data set of `reader` as a JSON object. Texts are decoded by Specific Character Set, or by
/// `default_charset` where there is none; `address` makes the BulkDataURI of a value of its place. Group lengths,
/// compressed icons, and what stands behind the pixel data are left out; of an element that occurs twice, the first one
/// counts.
pub fn write_json<R: Read>(
    reader: R,
    syntax: &TransferSyntaxUid,
    default_charset: &CharacterSet,
    address: &dyn Fn(&str) -> String,
    out: &mut String,
) -> Result<(), ReadError> {
    inflated(reader, syntax, |input, syntax| {
        let charset = default_charset.clone();
        Json { input, out, address, frames: vec![Frame::data_set(syntax, charset)] }.run()
    })
}

/// Appends an element, as in `"00100020":{"vr":"LO","Value":["4711"]}`, whose value is known as text; numbers in decimal,
/// several values between backslashes.
pub fn json_attribute(out: &mut String, tag: Tag, vr: [u8; 2], text: &str) {
    value::attribute(out, tag, vr, text);
}

/// Runs on the elements of a data set, out of their deflate stream where there is one.
fn inflated<R: Read, T>(
    reader: R,
    syntax: &TransferSyntaxUid,
    then: impl FnOnce(&mut Input<Box<dyn Read + '_>>, Syntax) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let encoding = encoding_of(syntax);
    let mut raw = Input::new(reader, LONGEST + WINDOW as u64);
    let deflated = encoding == Encoding::DeflatedLe && !wire::looks_like_elements(raw.ahead(8)?);
    let reader: Box<dyn Read> = if deflated { Box::new(Inflate::new(raw, INFLATED, RATIO)) } else { Box::new(raw) };
    let mut input = Input::new(reader, LONGEST);
    let syntax = Syntax::of(encoding).probe(input.ahead(wire::PROBE)?);
    then(&mut input, syntax)
}

/// Where the walk is.
struct Frame {
    /// The sequence; of the data set itself, nothing.
    tag: Tag,
    syntax: Syntax,
    /// The offset behind it, when its length is defined.
    end: Option<u64>,
    context: Context,
    charset: CharacterSet,
    content: Content,
}

enum Content {
    /// A sequence, and how many items it has had.
    Sequence(usize),
    /// A data set or an item, and what it has had.
    Elements(BTreeSet<Tag>),
}

impl Frame {
    fn data_set(syntax: Syntax, charset: CharacterSet) -> Frame {
        let content = Content::Elements(BTreeSet::new());
        Frame { tag: Tag(0, 0), syntax, end: None, context: Context::default(), charset, content }
    }
}

struct Json<'a, R> {
    input: &'a mut Input<R>,
    out: &'a mut String,
    address: &'a dyn Fn(&str) -> String,
    frames: Vec<Frame>,
}

impl<R: Read> Json<'_, R> {
    fn run(mut self) -> Result<(), ReadError> {
        self.out.push('{');
        let begin = self.out.len();
        while self.step()? {
            if self.out.len() - begin > LONGEST_JSON {
                return Err(ReadError::TooLong { offset: self.input.offset(), limit: LONGEST_JSON as u64 });
            }
        }
        self.out.push('}');
        Ok(())
    }

    /// The next element, or the end of an item or a sequence; `false` where the header ends.
    fn step(&mut self) -> Result<bool, ReadError> {
        let offset = self.input.offset();
        let Some(&Frame { tag, syntax, end, ref content, .. }) = self.frames.last() else { return Ok(false) };
        let (in_sequence, nested) = (matches!(content, Content::Sequence(_)), self.frames.len() > 1);
        if let Some(end) = end.filter(|&end| offset >= end) {
            if offset > end {
                let what = "the element before reaches beyond its item or sequence";
                return Err(ReadError::Malformed { offset, tag, what });
            }
            self.close();
            return Ok(true);
        }
        let Some(head) = Head::read(self.input, syntax)? else {
            return if nested { Err(ReadError::Truncated { offset, tag: Some(tag) }) } else { Ok(false) };
        };
        match (in_sequence, head.tag) {
            (true, SEQUENCE_END) => self.close(),
            (true, ITEM) => self.item(&head, syntax)?,
            (true, tag) => {
                let what = "stands where an item must";
                return Err(ReadError::Malformed { offset: self.input.offset(), tag, what });
            }
            (false, ITEM_END) if nested && end.is_none() => self.close(),
            // The end of a sequence whose last item was left open.
            (false, SEQUENCE_END) if nested && end.is_none() => {
                self.close();
                self.close();
            }
            // A stray delimiter is no value.
            (false, Tag(0xFFFE, _)) => {}
            (false, Tag(_, 0)) => wire::skip_value(self.input, &head, syntax)?,
            (false, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA) if !nested => {
                self.pixels(&head);
                return Ok(false);
            }
            (false, _) if is_fragments(&head) => wire::skip_value(self.input, &head, syntax)?,
            (false, _) => self.element(&head, syntax)?,
        }
        Ok(true)
    }

    fn element(&mut self, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let vr = choice::vr_of(head, &frame.context);
        let first = match &mut frame.content {
            Content::Elements(seen) => seen.insert(head.tag).then_some(seen.len() == 1),
            _ => None,
        };
        let Some(first) = first else {
            return wire::skip_value(self.input, head, syntax);
        };
        if let Some(inner) = items_behind(self.input, head, vr, syntax)? {
            let frame = self.frames.last();
            let (context, charset) = frame.map_or_else(Default::default, |f| (f.context, f.charset.clone()));
            self.name(head.tag, *b"SQ", first);
            let end = head.length.map(|length| self.input.offset() + u64::from(length));
            let content = Content::Sequence(0);
            return self.open(Frame { tag: head.tag, syntax: inner, end, context, charset, content });
        }
        let creator = head.tag.group() % 2 == 1 && (0x0010..=0x00FF).contains(&head.tag.element());
        // Who reserves private elements is a text, also where no VR says so (PS3.5 §7.8.1).
        let known = if creator && vr == *b"UN" { *b"LO" } else { vr::known(head.tag, vr) };
        let length = head.length.unwrap_or(0);
        let binary = matches!(&known, b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"UN");
        if length > if binary { LONGEST_BINARY } else { LONGEST_TEXT } {
            self.name(head.tag, known, first);
            self.by_address(head.tag);
            return wire::skip_value(self.input, head, syntax);
        }
        frame_note(self.frames.last_mut(), head, self.input.ahead(2)?, length, syntax);
        let mut bytes = self.input.read_value(length, head.tag)?;
        if syntax.big && !vr::is_text(known) {
            vr::swap(&mut bytes, vr::unit(vr));
        }
        self.leaf(head.tag, known, &bytes, first);
        Ok(())
    }

    /// A value that was read.
    fn leaf(&mut self, tag: Tag, vr: Vr, bytes: &[u8], first: bool) {
        let nested = self.frames.len() > 1;
        let Some(frame) = self.frames.last_mut() else { return };
        if tag == tags::SPECIFIC_CHARACTER_SET {
            if !bytes.is_empty() {
                frame.charset = CharacterSet::parse(bytes);
            }
            // All of it is UTF-8 (PS3.18 §F.2.1.1).
            if !nested {
                self.name(tag, *b"CS", first);
                self.out.push_str(",\"Value\":[\"ISO_IR 192\"]}");
            } else if let Content::Elements(seen) = &mut frame.content {
                seen.remove(&tag);
            }
            return;
        }
        let charset = frame.charset.clone();
        self.name(tag, vr, first);
        value::write(self.out, vr, bytes, &charset);
        self.out.push('}');
    }

    /// The pixel data, which are fetched on their own.
    fn pixels(&mut self, head: &Head) {
        let Some(Frame { context, content: Content::Elements(seen), .. }) = self.frames.last() else { return };
        let vr = if head.length.is_none() { *b"OB" } else { choice::vr_of(head, context) };
        let first = seen.is_empty();
        self.name(head.tag, vr, first);
        if head.length == Some(0) { self.out.push('}') } else { self.by_address(head.tag) }
    }

    /// The address of the element at hand instead of its value.
    fn by_address(&mut self, tag: Tag) {
        let mut path = String::new();
        for frame in &self.frames {
            if let Content::Sequence(items) = frame.content {
                let _infallible = write!(path, "{}/{}/", plain(frame.tag), items.saturating_sub(1));
            }
        }
        path.push_str(&plain(tag));
        self.out.push_str(",\"BulkDataURI\":");
        value::quoted(self.out, &(self.address)(&path));
        self.out.push('}');
    }

    /// `"00100010":{"vr":"PN"`, with a comma where something stands before it.
    fn name(&mut self, tag: Tag, [a, b]: Vr, first: bool) {
        let comma = if first { "" } else { "," };
        let (a, b) = (char::from(a), char::from(b));
        let _infallible = write!(self.out, "{comma}\"{}\":{{\"vr\":\"{a}{b}\"", plain(tag));
    }

    fn item(&mut self, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
        let inner = wire::item_syntax(self.input, syntax)?;
        let end = head.length.map(|length| self.input.offset() + u64::from(length));
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let (context, charset) = (frame.context, frame.charset.clone());
        if let Content::Sequence(items) = &mut frame.content {
            self.out.push_str(if *items == 0 { ",\"Value\":[{" } else { ",{" });
            *items += 1;
        }
        let content = Content::Elements(BTreeSet::new());
        self.open(Frame { tag: ITEM, syntax: inner, end, context, charset, content })
    }

    fn open(&mut self, frame: Frame) -> Result<(), ReadError> {
        if self.frames.len() > 2 * DEEPEST {
            return Err(ReadError::TooDeep { offset: self.input.offset(), limit: DEEPEST });
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) {
        match self.frames.pop().map(|frame| frame.content) {
            Some(Content::Sequence(0) | Content::Elements(_)) => self.out.push('}'),
            Some(Content::Sequence(_)) => self.out.push_str("]}"),
            None => {}
        }
    }
}

fn frame_note(frame: Option<&mut Frame>, head: &Head, ahead: &[u8], length: u32, syntax: Syntax) {
    if let Some(frame) = frame {
        frame.context.note(head.tag, ahead, length, syntax);
    }
}

/// As keys of the model are written.
fn plain(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

#[cfg(test)]
mod tests;
