//! Which presentation contexts objects of many kinds need, and over how many associations these have to be spread.

use std::collections::BTreeMap;

use crate::assoc::{MOST_CONTEXTS, Proposed};
use crate::dicom::{SopClassUid, TransferSyntaxUid, uids};
use crate::outlet::can_convert;

/// What is offered to who does not take an object as it is held: the best known first.
const NATIVE: [&str; 3] = [uids::EXPLICIT_LE, uids::IMPLICIT_LE, uids::EXPLICIT_BE];

/// An association to be opened.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What to propose.
    pub contexts: Vec<Proposed>,
    /// The kinds that it is for, by their place in the list that was planned for.
    pub kinds: Vec<usize>,
}

/// Spreads kinds of objects, each a SOP class and the transfer syntax that they are held in, over as few associations as
/// will do. Each kind has a context of its own, since an acceptor chooses one transfer syntax for a context; a class with
/// objects that can be had native has another, on which these can be sent converted.
pub fn plan(kinds: &[(SopClassUid, TransferSyntaxUid)], decoding: bool) -> Vec<Plan> {
    let mut classes: BTreeMap<&SopClassUid, Vec<(usize, &TransferSyntaxUid)>> = BTreeMap::new();
    for (kind, (class, syntax)) in kinds.iter().enumerate() {
        classes.entry(class).or_default().push((kind, syntax));
    }
    let native = TransferSyntaxUid::new(uids::EXPLICIT_LE);
    let mut plans = Vec::new();
    let mut current = Plan::default();
    for (class, held) in classes {
        // A class stays together, unless it needs more than an association has.
        for held in held.chunks(MOST_CONTEXTS - 1) {
            let mut contexts: Vec<Proposed> =
                held.iter().map(|(_, syntax)| proposed(class, &[syntax.as_str()])).collect();
            if held.iter().any(|(_, syntax)| can_convert(syntax, &native, decoding)) {
                contexts.push(proposed(class, &NATIVE));
            }
            if current.contexts.len() + contexts.len() > MOST_CONTEXTS {
                plans.push(std::mem::take(&mut current));
            }
            current.contexts.extend(contexts);
            current.kinds.extend(held.iter().map(|(kind, _)| *kind));
        }
    }
    if !current.kinds.is_empty() {
        plans.push(current);
    }
    plans
}

fn proposed(class: &SopClassUid, syntaxes: &[&str]) -> Proposed {
    super::super::session::proposed(class.as_str(), syntaxes, None)
}
