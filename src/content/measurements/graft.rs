//! Brings measurements into another report, below containers like those that they come from.

use std::collections::HashMap;

use super::items::{Concept, Item, Items};
use super::sort::{Fate, Fates, is, is_group};
use super::{Leaving, MOST_COPIED, MOST_STEPS, MeasureError};
use crate::content::references::weight;
use crate::dataset::Tree;
use crate::dicom::{Uid, tags};

/// Copies what goes. Yields class and UID of the objects that the report refers to now.
pub(super) fn graft(
    from: &Items,
    fates: &Fates,
    to: &mut Items,
    leaving: &Leaving<'_>,
) -> Result<Vec<(Option<Uid>, Uid)>, MeasureError> {
    let first = to.0.len();
    let mut work = Work {
        from,
        fates,
        to,
        leaving,
        places: HashMap::new(),
        open: Vec::new(),
        left: MOST_COPIED,
        steps: MOST_STEPS,
    };
    for &top in fates.tops() {
        let parent = work.container(top)?;
        work.copy(vec![(top, parent, work.hoisted(top))])?;
    }
    work.link()?;
    Ok(to.0.iter().skip(first).flat_map(Item::objects).collect())
}

struct Work<'a> {
    from: &'a Items,
    fates: &'a Fates,
    to: &'a mut Items,
    leaving: &'a Leaving<'a>,
    /// Where items are in the other report.
    places: HashMap<usize, usize>,
    /// Copies that stand for another item: the copy, and what it refers to in the source.
    open: Vec<(usize, usize)>,
    /// What copies may still take.
    left: usize,
    steps: usize,
}

impl Work<'_> {
    /// Whether an item leaves a measurement that it stood in, and is contained in what is around that.
    fn hoisted(&self, index: usize) -> bool {
        self.from.get(index).and_then(|item| item.parent).is_some_and(|parent| is(self.from, parent, "NUM"))
    }

    /// The container in the other report that is like the one around an item; it is made where there is none.
    fn container(&mut self, index: usize) -> Result<usize, MeasureError> {
        let chain: Vec<usize> = self.from.around(index).filter(|&around| is(self.from, around, "CONTAINER")).collect();
        let mut here = 0;
        // The outermost is the document.
        for &container in chain.iter().rev().skip(1) {
            here = match self.places.get(&container) {
                Some(&place) => place,
                None => self.like(container, here)?,
            };
            self.places.insert(container, here);
        }
        Ok(here)
    }

    fn like(&mut self, container: usize, parent: usize) -> Result<usize, MeasureError> {
        let wanted = shell(self.from, container);
        for &child in self.to.get(parent).map(|item| item.children.as_slice()).unwrap_or_default() {
            self.steps = self.steps.checked_sub(1).ok_or(MeasureError::TooTangled)?;
            if is(self.to, child, "CONTAINER") && shell(self.to, child) == wanted {
                return Ok(child);
            }
        }
        let Some(item) = self.from.get(container) else { return Ok(parent) };
        let about = item.children.iter().copied().filter(|&child| {
            self.from.get(child).is_some_and(|child| child.relation() != "CONTAINS") && !is(self.from, child, "NUM")
        });
        let about: Vec<usize> = about.collect();
        let place = self.push(item.tree.clone(), parent)?;
        self.copy(about.into_iter().rev().map(|child| (child, place, false)).collect())?;
        Ok(place)
    }

    fn push(&mut self, tree: Tree, parent: usize) -> Result<usize, MeasureError> {
        self.left = self.left.checked_sub(weight(&tree) + 256).ok_or(MeasureError::TooLarge)?;
        Ok(self.to.push(parent, tree))
    }

    /// Copies items and what is in them, but for measurements that do not go. The last is copied first.
    fn copy(&mut self, mut open: Vec<(usize, usize, bool)>) -> Result<(), MeasureError> {
        while let Some((index, parent, hoisted)) = open.pop() {
            let Some(item) = self.from.get(index).filter(|_| !self.places.contains_key(&index)) else { continue };
            let goes = self.fates.get(index).is_none_or(|fate| fate == Fate::Moves);
            if goes && !self.is_of_others(index) {
                let mut tree = item.tree.clone();
                if hoisted {
                    tree.put_text(tags::RELATIONSHIP_TYPE, "CONTAINS");
                }
                let place = self.push(tree, parent)?;
                self.places.insert(index, place);
                self.open.extend(item.refers.map(|to| (place, to)));
                open.extend(item.children.iter().rev().map(|&child| (child, place, false)));
            } else if !goes {
                // What it was calculated with may go without it.
                let inside = item.children.iter().rev().filter(|&&child| is(self.from, child, "NUM"));
                open.extend(inside.map(|&child| (child, parent, true)));
            }
        }
        Ok(())
    }

    /// Whether an item says of a group that it is about images that stay, while other measurements of the group go.
    fn is_of_others(&self, index: usize) -> bool {
        let Some(item) = self.from.get(index) else { return false };
        let in_group = item.parent.is_some_and(|parent| is_group(self.from, parent));
        if !in_group || is(self.from, index, "NUM") || is(self.from, index, "CONTAINER") {
            return false;
        }
        let below = item.children.iter().filter_map(|&child| self.from.get(child));
        let mut objects = item.objects().chain(below.flat_map(Item::objects)).peekable();
        objects.peek().is_some() && objects.all(|(_, uid)| !self.leaving.object(&uid))
    }

    /// Copies that stand for another item do so here as well, or become that item where it is not here.
    fn link(&mut self) -> Result<(), MeasureError> {
        while let Some((place, meant)) = self.open.pop() {
            if let Some(&there) = self.places.get(&meant) {
                if let Some(item) = self.to.0.get_mut(place) {
                    item.refers = Some(there);
                }
                continue;
            }
            let Some(item) = self.from.get(meant) else { continue };
            // Nothing that others are made of is copied into them.
            if item.is("CONTAINER") || item.is("NUM") {
                self.drop(place);
                continue;
            }
            let mut tree = item.tree.clone();
            self.left = self.left.checked_sub(weight(&tree) + 256).ok_or(MeasureError::TooLarge)?;
            if let Some(copy) = self.to.0.get_mut(place) {
                tree.put_text(tags::RELATIONSHIP_TYPE, copy.relation());
                copy.tree = tree;
            }
            self.open.extend(item.refers.map(|to| (place, to)));
            // Each of these gets copies of its own, as often as it is referred to.
            for &child in &item.children {
                let Some(below) = self.from.get(child) else { continue };
                let copy = self.push(below.tree.clone(), place)?;
                self.open.push((copy, child));
            }
        }
        Ok(())
    }

    fn drop(&mut self, place: usize) {
        let parent = self.to.get(place).and_then(|item| item.parent);
        if let Some(parent) = parent.and_then(|parent| self.to.0.get_mut(parent)) {
            parent.children.retain(|&child| child != place);
        }
    }
}

/// A container's name, and what says more of it.
type Shell<'a> = (Option<Concept<'a>>, Vec<&'a Tree>);

/// What makes a container the one that it is: its name, and what says more of that.
fn shell(items: &Items, index: usize) -> Option<Shell<'_>> {
    let item = items.get(index)?;
    let children = item.children.iter().filter_map(|&child| items.get(child));
    let about = children.filter(|child| child.relation() != "CONTAINS" && !child.is("NUM"));
    Some((item.concept(), about.map(|child| &child.tree).collect()))
}
