//! The content tree of a report (PS3.3 §C.17.3) as a list of items that know their parents, so that references by the
//! position of an item hold while items come and go.

use std::collections::HashMap;

use crate::dataset::{Node, Tree, Value};
use crate::dicom::{Tag, Uid, tags};

/// A content item.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its elements, without the items below it and without the position that it refers to.
    pub(super) tree: Tree,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    /// The item that stands here by reference.
    pub(super) refers: Option<usize>,
}

/// A document: all its content items, of which the first is the document itself.
#[derive(Debug, Clone)]
pub(super) struct Items(pub(super) Vec<Item>);

/// What an item is called: code value and scheme.
pub(super) type Concept<'a> = (&'a str, &'a str);

impl Item {
    fn text(&self, tag: Tag) -> &str {
        self.tree.text(tag).unwrap_or_default()
    }

    pub(super) fn is(&self, value_type: &str) -> bool {
        self.text(tags::VALUE_TYPE) == value_type
    }

    pub(super) fn relation(&self) -> &str {
        self.text(tags::RELATIONSHIP_TYPE)
    }

    pub(super) fn concept(&self) -> Option<Concept<'_>> {
        let name = self.tree.item(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
        let value = [tags::CODE_VALUE, tags::LONG_CODE_VALUE, tags::URN_CODE_VALUE];
        let value = value.iter().find_map(|&tag| name.text(tag))?;
        Some((value, name.text(tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default()))
    }

    /// Class and UID of the objects that it refers to.
    pub(super) fn objects(&self) -> impl Iterator<Item = (Option<Uid>, Uid)> {
        let references = self.tree.items(tags::REFERENCED_SOP_SEQUENCE).iter();
        references.filter_map(|item| {
            let uid = item.uid(tags::REFERENCED_SOP_INSTANCE_UID)?;
            Some((item.uid(tags::REFERENCED_SOP_CLASS_UID), uid))
        })
    }
}

impl Items {
    /// Takes a document apart.
    pub(super) fn read(document: &Tree) -> Items {
        let mut items: Vec<Item> = Vec::new();
        let mut paths: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut references: Vec<(usize, Vec<u32>, Node)> = Vec::new();
        let mut open: Vec<(Option<usize>, Vec<u32>, Tree)> = vec![(None, vec![1], document.clone())];
        // What is opened last comes first, so that items are in the order of the document.
        while let Some((parent, path, mut tree)) = open.pop() {
            let index = items.len();
            if let Some(parent) = parent.and_then(|parent| items.get_mut(parent)) {
                parent.children.push(index);
            }
            if let Some(node) = tree.remove(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER) {
                references.push((index, positions(node.bytes().unwrap_or_default()), node));
            }
            if let Some(Node { value: Value::Items(children), .. }) = tree.remove(tags::CONTENT_SEQUENCE) {
                for (number, child) in (1u32..).zip(children).collect::<Vec<_>>().into_iter().rev() {
                    let mut path = path.clone();
                    path.push(number);
                    open.push((Some(index), path, child));
                }
            }
            paths.insert(path, index);
            items.push(Item { tree, parent, children: Vec::new(), refers: None });
        }
        for (index, path, node) in references {
            if let Some(item) = items.get_mut(index) {
                item.refers = paths.get(&path).copied();
                // What leads nowhere stays as it is.
                if item.refers.is_none() {
                    item.tree.put(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, node);
                }
            }
        }
        Items(items)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Item> {
        self.0.get(index)
    }

    /// The items that stand directly in an item, those by reference as what they refer to.
    pub(super) fn meant(&self, index: usize) -> impl Iterator<Item = usize> {
        let children = self.get(index).map(|item| item.children.as_slice()).unwrap_or_default();
        children.iter().map(|&child| self.get(child).and_then(|item| item.refers).unwrap_or(child))
    }

    /// The items around an item, the nearest first.
    pub(super) fn around(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.get(index).and_then(|item| item.parent), |&index| self.get(index)?.parent)
    }

    /// Puts an item at the end of another one.
    pub(super) fn push(&mut self, parent: usize, tree: Tree) -> usize {
        let index = self.0.len();
        self.0.push(Item { tree, parent: Some(parent), children: Vec::new(), refers: None });
        if let Some(parent) = self.0.get_mut(parent) {
            parent.children.push(index);
        }
        index
    }

    /// Puts the document together again; positions are counted anew. An item that refers to one that is not there any
    /// more is left out.
    pub(super) fn write(self) -> Tree {
        let Items(mut items) = self;
        let mut paths: Vec<Option<Vec<u32>>> = vec![None; items.len()];
        let mut order = Vec::new();
        let mut open = vec![(0, vec![1u32])];
        let alive = reachable(&items);
        while let Some((index, path)) = open.pop() {
            order.push(index);
            let Some(item) = items.get_mut(index) else { continue };
            let there = |index: usize| alive.get(index).copied().unwrap_or_default();
            item.children.retain(|&child| there(child));
            for (number, &child) in (1u32..).zip(&item.children) {
                let mut path = path.clone();
                path.push(number);
                open.push((child, path));
            }
            if let Some(place) = paths.get_mut(index) {
                *place = Some(path);
            }
        }
        // An item is behind the one around it, and behind those that follow it there: from the end, each is whole when it
        // is put in its place.
        for index in order.into_iter().rev() {
            let Some(item) = items.get_mut(index) else { continue };
            let (parent, mut tree) = (item.parent, std::mem::take(&mut item.tree));
            let path = item.refers.and_then(|to| paths.get(to)).and_then(Option::as_ref);
            if let Some(path) = path {
                let bytes: Vec<u8> = path.iter().flat_map(|position| position.to_le_bytes()).collect();
                tree.put_bytes(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, *b"UL", &bytes);
            }
            match parent.and_then(|parent| items.get_mut(parent)) {
                Some(parent) => parent.tree.items_mut(tags::CONTENT_SEQUENCE).push(tree),
                None => return tree,
            }
        }
        Tree::new()
    }
}

/// Which items are in the document, those left out that refer to one that is not.
fn reachable(items: &[Item]) -> Vec<bool> {
    let walk = |dead: &[bool]| {
        let mut alive = vec![false; items.len()];
        let mut open = vec![0];
        while let Some(index) = open.pop() {
            let Some(item) = items.get(index) else { continue };
            if dead.get(index).copied().unwrap_or_default() {
                continue;
            }
            if let Some(alive) = alive.get_mut(index) {
                *alive = true;
            }
            open.extend(&item.children);
        }
        alive
    };
    let alive = walk(&vec![false; items.len()]);
    let dead: Vec<bool> =
        items.iter().map(|item| item.refers.is_some_and(|to| !alive.get(to).copied().unwrap_or_default())).collect();
    walk(&dead)
}

/// The positions that lead to an item.
fn positions(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
}
