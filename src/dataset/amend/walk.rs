//! Through the data set, element by element.

mod element;
mod item;
mod keep;

use std::io::{self, Read};
use std::sync::Arc;

use super::super::input::Input;
use super::super::tree::Tree;
use super::super::wire::{self, Head, Syntax};
use super::super::{CharacterSet, ReadError};
use super::plan::{Insert, Plan};
use super::{Amendment, UidKind};
use crate::dicom::{Encoding, Tag, tags};

/// Where output is handed on rather than gathered further.
const ENOUGH: usize = 16 * 1024;
/// A value longer than this goes from the reader to whoever reads, without being gathered.
const GATHERED: u32 = 4 * 1024;
/// The most memory that previous values may take together. What is beyond is not told in Original Attributes.
const MOST_ORIGINAL: u64 = 1024 * 1024;
/// The longest text that is brought into another character set.
const LONGEST_TEXT: u32 = 16 * 1024 * 1024;
/// A list of UIDs longer than this is left alone.
const LONGEST_UIDS: u32 = 64 * 1024;
/// The longest value of Specific Character Set.
const LONGEST_TERMS: u32 = 4 * 1024;

/// The length of the whole data set, in what was before DICOM.
const LENGTH_TO_END: Tag = Tag(0x0008, 0x0001);

/// Where the walk is within the data set.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Between the items of a sequence.
    Sequence,
    /// In an item.
    Item,
    /// Between the fragments of compressed pixel data.
    Fragments,
}

/// A sequence or an item whose content is looked at. It was begun with an undefined length, so that a delimiter ends it.
#[derive(Debug)]
struct Frame {
    place: Place,
    /// The sequence, or the one around the item.
    tag: Tag,
    syntax: Syntax,
    /// The offset behind it, when its length was defined.
    end: Option<u64>,
    /// What may change in it.
    edits: Edits,
    /// An item's own character set.
    charset: Option<CharacterSet>,
    /// What a content item says of its value.
    concept: Option<UidKind>,
    /// The item that is written behind the others.
    more: Vec<u8>,
}

/// What may change.
#[derive(Debug, Clone, Copy, Default)]
struct Edits {
    texts: bool,
    uids: bool,
}

impl Edits {
    fn any(self) -> bool {
        self.texts || self.uids
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// Elements.
    Elements,
    /// A value that passes; `whole` says that its end would be missed.
    Through { left: u64, tag: Tag, whole: bool },
    /// Whatever is left passes.
    Tail,
    /// None.
    Done,
}

/// An element header as it is on the wire.
type Raw = ([u8; 12], usize);

/// Reads a data set and is read as the amended one.
pub(super) struct Walk<R> {
    input: Input<R>,
    amendment: Arc<Amendment>,
    syntax: Syntax,
    /// Of texts of the data set itself.
    charset: CharacterSet,
    /// Made when the character set is known.
    plan: Option<Plan>,
    frames: Vec<Frame>,
    mode: Mode,
    behind_pixels: bool,
    /// Previous values, their texts as they will be written.
    originals: Tree,
    budget: u64,
    out: Vec<u8>,
    taken: usize,
}

impl<R: Read> Walk<R> {
    pub(super) fn new(reader: R, encoding: Encoding, amendment: Arc<Amendment>) -> Self {
        let charset = amendment.default_charset.as_deref().map_or_else(CharacterSet::ascii, CharacterSet::from_terms);
        Walk {
            input: Input::new(reader, u64::MAX),
            amendment,
            syntax: Syntax::of(encoding),
            charset,
            plan: None,
            frames: Vec::new(),
            mode: Mode::Elements,
            behind_pixels: false,
            originals: Tree::new(),
            budget: MOST_ORIGINAL,
            out: Vec::with_capacity(ENOUGH),
            taken: 0,
        }
    }

    /// Looks at the next header, and at its value if that is short or changes.
    fn step(&mut self) -> Result<(), ReadError> {
        if self.input.offset() == 0 {
            self.syntax = self.syntax.probe(self.input.ahead(wire::PROBE)?);
        }
        match self.frames.last() {
            None => self.top(),
            Some(Frame { place: Place::Fragments, .. }) => self.fragment(),
            Some(_) => self.nested(),
        }
    }

    /// The next header, both read and as it is.
    fn head(&mut self, syntax: Syntax) -> Result<Option<(Head, Raw)>, ReadError> {
        let mut raw = [0; 12];
        for (to, from) in raw.iter_mut().zip(self.input.ahead(12)?) {
            *to = *from;
        }
        let before = self.input.offset();
        let head = Head::read(&mut self.input, syntax)?;
        let length = usize::try_from(self.input.offset() - before).unwrap_or(0);
        Ok(head.map(|head| (head, (raw, length))))
    }

    fn write_raw(&mut self, (raw, length): Raw) {
        self.out.extend_from_slice(raw.get(..length).unwrap_or_default());
    }

    /// The next element of the data set itself.
    fn top(&mut self) -> Result<(), ReadError> {
        let syntax = self.syntax;
        let (head, raw) = match self.head(syntax) {
            Ok(Some(found)) => found,
            Ok(None) => return self.finish(Mode::Done),
            // Behind the pixel data anything may lie that is no element at all.
            Err(ReadError::Truncated { .. }) if self.behind_pixels => return self.finish(Mode::Tail),
            Err(error) => return Err(error),
        };
        if self.behind_pixels && !(head.tag > tags::PIXEL_DATA && (head.vr.is_some() || !syntax.explicit)) {
            self.finish(Mode::Tail)?;
            self.write_raw(raw);
            return Ok(());
        }
        let tag = head.tag;
        match tag {
            // A stray delimiter is no value, and group lengths would be wrong.
            Tag(0xFFFE, _) => return Ok(()),
            Tag(_, 0) | LENGTH_TO_END => return wire::skip_value(&mut self.input, &head, syntax),
            tags::SPECIFIC_CHARACTER_SET => return self.character_set(&head, raw),
            _ => {}
        }
        if tag > tags::SPECIFIC_CHARACTER_SET && self.plan.is_none() {
            self.prepare(None)?;
        }
        self.insert_before(Some(tag));
        match tag {
            tags::DIGITAL_SIGNATURES_SEQUENCE | tags::MAC_PARAMETERS_SEQUENCE => {
                wire::skip_value(&mut self.input, &head, syntax)
            }
            tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA => {
                self.write_raw(raw);
                self.behind_pixels = true;
                match head.length {
                    Some(left) => self.mode = Mode::Through { left: left.into(), tag, whole: false },
                    None => self.open(Place::Fragments, tag, syntax, None, Edits::default())?,
                }
                Ok(())
            }
            _ => self.element_of_data_set(&head, raw),
        }
    }

    /// The end of what is looked at: what was not written yet follows.
    fn finish(&mut self, mode: Mode) -> Result<(), ReadError> {
        if self.plan.is_none() {
            self.prepare(None)?;
        }
        self.insert_before(None);
        self.mode = mode;
        Ok(())
    }

    /// A header that was cut off is amended all the same, if that happened behind everything that is written: it stays
    /// cut off.
    fn cut_off(&mut self, error: ReadError) -> Result<(), ReadError> {
        let written = self.plan.as_ref().is_some_and(Plan::is_written) && self.frames.iter().all(|f| f.more.is_empty());
        if !written || !matches!(error, ReadError::Truncated { .. }) {
            return Err(error);
        }
        self.mode = Mode::Tail;
        Ok(())
    }

    /// Makes the plan.
    fn prepare(&mut self, declared: Option<&[u8]>) -> Result<(), ReadError> {
        let declared = declared.filter(|terms| !terms.trim_ascii().is_empty()).map(CharacterSet::parse);
        let plan = Plan::new(&self.amendment, declared.as_ref(), self.syntax)?;
        if let Some(declared) = declared {
            self.charset = declared;
        }
        if plan.transcodes {
            wire::write_element(&mut self.out, tags::SPECIFIC_CHARACTER_SET, *b"CS", b"ISO_IR 192", self.syntax);
        }
        self.plan = Some(plan);
        Ok(())
    }

    /// Specific Character Set of the data set itself.
    fn character_set(&mut self, head: &Head, raw: Raw) -> Result<(), ReadError> {
        let terms = self.terms(head)?;
        match &self.plan {
            None => self.prepare(Some(&terms))?,
            // It came late. What follows is in it.
            Some(_) => self.charset = CharacterSet::parse(&terms),
        }
        if !self.transcodes() {
            self.write_raw(raw);
            self.out.extend_from_slice(&terms);
        }
        Ok(())
    }

    fn terms(&mut self, head: &Head) -> Result<Vec<u8>, ReadError> {
        match head.length.filter(|&length| length <= LONGEST_TERMS) {
            Some(length) => self.input.read_value(length, head.tag),
            None => {
                let what = "is too long for a character set";
                Err(ReadError::Malformed { offset: self.input.offset(), tag: head.tag, what })
            }
        }
    }

    fn transcodes(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.transcodes)
    }

    /// What may change in an element of the data set itself. What was before was so under the old UIDs.
    fn edits(&self, tag: Tag) -> Edits {
        let uids = !self.amendment.uids.is_empty() && tag != tags::ORIGINAL_ATTRIBUTES_SEQUENCE;
        Edits { texts: self.transcodes(), uids }
    }

    /// Writes what comes before a tag and is not there.
    fn insert_before(&mut self, before: Option<Tag>) {
        while let Some((tag, insert)) = self.plan.as_mut().and_then(|plan| plan.due(before)) {
            self.insert(tag, insert);
        }
    }

    fn insert(&mut self, tag: Tag, insert: Insert) {
        match insert {
            Insert::Element(bytes) => self.out.extend_from_slice(&bytes),
            Insert::Item => {
                let Some(item) = self.more(tag, self.syntax) else { return };
                let length = u32::try_from(item.len()).ok();
                wire::write_head(&mut self.out, &Head { tag, vr: Some(*b"SQ"), length }, self.syntax);
                self.out.extend_from_slice(&item);
            }
        }
    }

    /// The item that a sequence gets.
    fn more(&self, tag: Tag, syntax: Syntax) -> Option<Vec<u8>> {
        self.plan.as_ref()?.item(tag, &self.amendment, &self.originals, syntax)
    }
}

impl<R: Read> Read for Walk<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.out.get(self.taken..).unwrap_or_default();
            if !ready.is_empty() || out.is_empty() {
                let n = ready.len().min(out.len());
                if let (Some(out), Some(ready)) = (out.get_mut(..n), ready.get(..n)) {
                    out.copy_from_slice(ready);
                }
                self.taken += n;
                return Ok(n);
            }
            self.out.clear();
            self.taken = 0;
            match self.mode {
                Mode::Done => return Ok(0),
                Mode::Tail => return self.input.read(out),
                Mode::Through { left: 0, .. } => self.mode = Mode::Elements,
                Mode::Through { left, tag, whole } => {
                    let most = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
                    let n = self.input.read(out.get_mut(..most).unwrap_or_default())?;
                    if n > 0 {
                        self.mode = Mode::Through { left: left - n as u64, tag, whole };
                        return Ok(n);
                    }
                    // Pixel data pass as they are, and so do those that were cut off.
                    let offset = self.input.offset();
                    let ended = if whole { Err(ReadError::Truncated { offset, tag: Some(tag) }) } else { Ok(()) };
                    let finished = ended.or_else(|error| self.cut_off(error)).and_then(|()| self.finish(Mode::Done));
                    finished.map_err(io::Error::other)?;
                }
                Mode::Elements => {
                    while self.mode == Mode::Elements && self.out.len() < ENOUGH {
                        let done = self.step().or_else(|error| self.cut_off(error));
                        done.map_err(io::Error::other)?;
                    }
                }
            }
        }
    }
}
