//! From bytes to memory, within bounds and without recursion.

use std::io::Read;

use super::super::convert::choice::{self, Context};
use super::super::inflate::Inflate;
use super::super::input::Input;
use super::super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use super::super::{CharacterSet, ReadError, vr};
use super::{Node, Tree, Value};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, encoding_of, tags};

/// What an element costs in memory beside its value.
const COST: u64 = 64;

impl Tree {
    /// Reads a data set up to its pixel data or to its end; refuses what needs more memory than `limit` bytes, more or
    /// less. Texts are decoded by Specific Character Set, or by `default_charset` where there is none. Group lengths and
    /// compressed icons are left out; of an element that occurs twice, the first one counts.
    pub fn read<R: Read>(
        reader: R,
        syntax: &TransferSyntaxUid,
        default_charset: &CharacterSet,
        limit: u64,
    ) -> Result<Tree, ReadError> {
        let encoding = encoding_of(syntax);
        let mut raw = Input::new(reader, limit);
        let mut tree = if encoding == Encoding::DeflatedLe && !wire::looks_like_elements(raw.ahead(8)?) {
            let inflate = Inflate::new(raw, limit.saturating_add(super::super::input::WINDOW as u64), 0);
            read_header(&mut Input::new(inflate, limit), encoding, limit)?.0
        } else {
            read_header(&mut raw, encoding, limit)?.0
        };
        tree.decode(default_charset);
        Ok(tree)
    }

    /// Turns texts as they came into UTF-8. Recurses as deep as [`read_node`] has read.
    pub(in crate::dataset) fn decode(&mut self, outer: &CharacterSet) {
        let own = self.nodes.remove(&tags::SPECIFIC_CHARACTER_SET);
        let own = own.as_ref().and_then(Node::bytes).filter(|terms| !terms.is_empty()).map(CharacterSet::parse);
        let charset = own.as_ref().unwrap_or(outer);
        for node in self.nodes.values_mut() {
            node.decode(charset);
        }
    }
}

impl Node {
    /// Turns texts as they came into UTF-8.
    pub(in crate::dataset) fn decode(&mut self, charset: &CharacterSet) {
        match &mut self.value {
            Value::Bytes(bytes) if vr::has_charset(self.vr) => *bytes = decoded(charset, self.vr, bytes).into_bytes(),
            Value::Bytes(_) => {}
            Value::Items(items) => items.iter_mut().for_each(|item| item.decode(charset)),
        }
    }
}

/// A text in its character set.
pub(in crate::dataset) fn decoded(charset: &CharacterSet, vr: vr::Vr, bytes: &[u8]) -> String {
    if vr == *b"PN" { charset.decode_person_name(bytes) } else { charset.decode(bytes) }
}

/// Reads up to the pixel data, and the header of those, if there are any; with how elements are encoded.
pub(in crate::dataset) fn read_header<R: Read>(
    input: &mut Input<R>,
    encoding: Encoding,
    limit: u64,
) -> Result<(Tree, Option<Head>, Syntax), ReadError> {
    let syntax = Syntax::of(encoding).probe(input.ahead(wire::PROBE)?);
    let (mut tree, mut context, mut budget) = (Tree::new(), Context::default(), limit);
    while let Some(head) = Head::read(input, syntax)? {
        match head.tag {
            Tag(0xFFFE, _) => {}
            tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA => {
                return Ok((tree, Some(head), syntax));
            }
            Tag(_, 0) => wire::skip_value(input, &head, syntax)?,
            _ if is_fragments(&head) => wire::skip_value(input, &head, syntax)?,
            tag => {
                let node = read_node(input, &head, syntax, &mut context, &mut budget)?;
                let node = node.ok_or_else(|| ReadError::TooLong { offset: input.offset(), limit })?;
                tree.nodes.entry(tag).or_insert(node);
            }
        }
    }
    Ok((tree, None, syntax))
}

/// Whether fragments follow a header, as in a compressed icon, and no items with elements.
pub(in crate::dataset) fn is_fragments(head: &Head) -> bool {
    head.length.is_none() && (head.tag == tags::PIXEL_DATA || matches!(head.vr, Some([b'O', b'B' | b'W'])))
}

/// A sequence or an item that is being read.
struct Frame {
    tag: Tag,
    syntax: Syntax,
    /// The offset behind it, when its length is defined.
    end: Option<u64>,
    context: Context,
    content: Content,
}

enum Content {
    Sequence(Vec<Tree>),
    Item(Tree),
}

/// Whether items follow a header; how their elements are encoded then.
pub(in crate::dataset) fn items_behind<R: Read>(
    input: &mut Input<R>,
    head: &Head,
    vr: vr::Vr,
    syntax: Syntax,
) -> Result<Option<Syntax>, ReadError> {
    let unknown = vr == *b"UN";
    Ok(match head.length {
        None => Some(head.inner(syntax)),
        Some(_) if vr == *b"SQ" => Some(head.inner(syntax)),
        // A sequence that somebody on the way did not know is Implicit inside (PS3.5 §6.2.2).
        Some(length)
            if unknown && length >= 8 && head.tag.group().is_multiple_of(2) && vr::of(head.tag) == Some(*b"SQ") =>
        {
            input.ahead(4)?.starts_with(&[0xFE, 0xFF, 0, 0xE0]).then_some(wire::IMPLICIT)
        }
        Some(_) => None,
    })
}

/// Reads the value behind a header as it is on the wire, texts undecoded, numbers turned to Little Endian. `None` where
/// the budget does not suffice: the value is passed over then. What is read is taken from the budget.
pub(in crate::dataset) fn read_node<R: Read>(
    input: &mut Input<R>,
    head: &Head,
    syntax: Syntax,
    context: &mut Context,
    budget: &mut u64,
) -> Result<Option<Node>, ReadError> {
    let vr = choice::vr_of(head, context);
    let Some(inner) = items_behind(input, head, vr, syntax)? else {
        return read_leaf(input, head, vr, syntax, context, budget);
    };
    let mut reader = Reader { input, frames: Vec::new(), budget, whole: true };
    reader.open(head, inner, *context, Content::Sequence(Vec::new()))?;
    reader.run()
}

/// Reads one sequence.
struct Reader<'a, R> {
    input: &'a mut Input<R>,
    frames: Vec<Frame>,
    budget: &'a mut u64,
    /// Whether the budget sufficed so far.
    whole: bool,
}

impl<R: Read> Reader<'_, R> {
    fn run(mut self) -> Result<Option<Node>, ReadError> {
        loop {
            let offset = self.input.offset();
            let Some(&Frame { tag, syntax, end, ref content, .. }) = self.frames.last() else { return Ok(None) };
            let in_item = matches!(content, Content::Item(_));
            let mut closing = 0;
            if let Some(end) = end.filter(|&end| offset >= end) {
                if offset > end {
                    let what = "the element before reaches beyond its item or sequence";
                    return Err(ReadError::Malformed { offset, tag, what });
                }
                closing = 1;
            } else {
                let Some(next) = Head::read(self.input, syntax)? else {
                    return Err(ReadError::Truncated { offset, tag: Some(tag) });
                };
                match (in_item, next.tag) {
                    (false, SEQUENCE_END) => closing = 1,
                    (false, ITEM) => {
                        let inner = wire::item_syntax(self.input, syntax)?;
                        let context = self.frames.last().map_or_else(Context::default, |frame| frame.context);
                        self.open(&next, inner, context, Content::Item(Tree::new()))?;
                    }
                    (false, tag) => {
                        let what = "stands where an item must";
                        return Err(ReadError::Malformed { offset: self.input.offset(), tag, what });
                    }
                    (true, ITEM_END) if end.is_none() => closing = 1,
                    // The end of a sequence whose last item was left open.
                    (true, SEQUENCE_END) if end.is_none() => closing = 2,
                    // A stray delimiter is no value.
                    (true, Tag(0xFFFE, _)) => {}
                    (true, _) => self.element(&next, syntax)?,
                }
            }
            for _ in 0..closing {
                if let Some(node) = self.close() {
                    return Ok(self.whole.then_some(node));
                }
            }
        }
    }

    fn element(&mut self, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
        if head.tag.element() == 0 || is_fragments(head) {
            return wire::skip_value(self.input, head, syntax);
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let vr = choice::vr_of(head, &frame.context);
        if let Some(inner) = items_behind(self.input, head, vr, syntax)? {
            let context = frame.context;
            return self.open(head, inner, context, Content::Sequence(Vec::new()));
        }
        let node = read_leaf(self.input, head, vr, syntax, &mut frame.context, self.budget)?;
        match (&mut frame.content, node) {
            (Content::Item(tree), Some(node)) => {
                tree.nodes.entry(head.tag).or_insert(node);
            }
            _ => self.whole = false,
        }
        Ok(())
    }

    fn open(&mut self, head: &Head, syntax: Syntax, context: Context, content: Content) -> Result<(), ReadError> {
        let offset = self.input.offset();
        if self.frames.len() >= 2 * DEEPEST {
            return Err(ReadError::TooDeep { offset, limit: DEEPEST });
        }
        self.whole &= take(self.budget, 0);
        let end = head.length.map(|length| offset + u64::from(length));
        self.frames.push(Frame { tag: head.tag, syntax, end, context, content });
        Ok(())
    }

    /// Puts what is complete where it belongs; the outermost sequence is handed back.
    fn close(&mut self) -> Option<Node> {
        let Frame { tag, content, .. } = self.frames.pop()?;
        // What the budget does not cover is not gathered.
        let whole = self.whole;
        match (content, self.frames.last_mut().map(|frame| &mut frame.content)) {
            (_, Some(_)) if !whole => None,
            (Content::Item(tree), Some(Content::Sequence(items))) => {
                items.push(tree);
                None
            }
            (Content::Sequence(items), Some(Content::Item(tree))) => {
                tree.nodes.entry(tag).or_insert(Node { vr: *b"SQ", value: Value::Items(items) });
                None
            }
            (Content::Sequence(items), _) => Some(Node { vr: *b"SQ", value: Value::Items(items) }),
            (Content::Item(_), _) => None,
        }
    }
}

fn take(budget: &mut u64, length: u64) -> bool {
    let left = budget.checked_sub(length + COST);
    *budget = left.unwrap_or(*budget);
    left.is_some()
}

fn read_leaf<R: Read>(
    input: &mut Input<R>,
    head: &Head,
    vr: vr::Vr,
    syntax: Syntax,
    context: &mut Context,
    budget: &mut u64,
) -> Result<Option<Node>, ReadError> {
    let length = head.length.unwrap_or(0);
    if !take(budget, u64::from(length)) {
        wire::skip(input, length, head.tag)?;
        return Ok(None);
    }
    context.note(head.tag, input.ahead(2)?, length, syntax);
    let mut value = input.read_value(length, head.tag)?;
    // An UN is Little Endian in any case.
    let (on_wire, vr) = (vr, vr::known(head.tag, vr));
    if vr::is_text(vr) {
        let padding = value.iter().rev().take_while(|&&b| b == b' ' || b == 0).count();
        value.truncate(value.len() - padding);
    } else if syntax.big {
        vr::swap(&mut value, vr::unit(on_wire));
    }
    Ok(Some(Node { vr, value: Value::Bytes(value) }))
}
