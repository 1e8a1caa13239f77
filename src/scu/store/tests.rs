//! Which contexts are proposed, which is taken, and what an answer means.

use super::*;
use crate::assoc::MOST_CONTEXTS;
use crate::dicom::{Uid, uids};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const JPEG: &str = "1.2.840.10008.1.2.4.70";

fn kind(class: &str, syntax: &str) -> (SopClassUid, TransferSyntaxUid) {
    (SopClassUid::new(class), TransferSyntaxUid::new(syntax))
}

#[test]
fn each_kind_has_a_context_and_native_ones_another_to_be_converted_on() {
    let kinds = [kind(CT, JPEG), kind(CT, uids::EXPLICIT_LE), kind("1.2.3", JPEG), kind(CT, uids::IMPLICIT_LE)];
    let [plan] = plan(&kinds, false).try_into().unwrap();
    let contexts: Vec<_> =
        plan.contexts.iter().map(|c| (c.abstract_syntax.as_str(), c.transfer_syntaxes.len())).collect();
    assert_eq!(contexts, [("1.2.3", 1), (CT, 1), (CT, 1), (CT, 1), (CT, 3)]);
    let mut planned = plan.kinds;
    planned.sort_unstable();
    assert_eq!(planned, [0, 1, 2, 3]);
    assert!(super::plan(&[], false).is_empty());
}

#[test]
fn more_kinds_than_an_association_has_contexts_are_spread() {
    let kinds: Vec<_> = (0..200).map(|n| kind(&format!("1.2.{n}"), uids::EXPLICIT_LE)).collect();
    let one_class: Vec<_> = (0..300).map(|n| kind(CT, &format!("1.2.{n}"))).collect();
    for kinds in [kinds, one_class] {
        let plans = plan(&kinds, false);
        assert!(plans.len() >= 3 && plans.iter().all(|plan| plan.contexts.len() <= MOST_CONTEXTS));
        let mut all: Vec<_> = plans.into_iter().flat_map(|plan| plan.kinds).collect();
        all.sort_unstable();
        assert_eq!(all, (0..kinds.len()).collect::<Vec<_>>());
    }
}

#[test]
fn an_object_goes_as_it_is_held_or_else_converted_or_not_at_all() {
    let accepted = |syntaxes: &[&str]| -> Vec<Transfer> {
        let transfer = |(n, syntax): (usize, &&str)| Transfer {
            id: u8::try_from(n).unwrap() * 2 + 1,
            abstract_syntax: Uid::new(CT),
            transfer_syntax: TransferSyntaxUid::new(syntax),
            scu_role: true,
            scp_role: false,
        };
        syntaxes.iter().enumerate().map(transfer).collect()
    };
    let chosen = |syntaxes: &[&str], held: &str| {
        let found = choose(&accepted(syntaxes), &SopClassUid::new(CT), &TransferSyntaxUid::new(held), false);
        found.map(|(id, syntax)| (id, syntax.to_string()))
    };
    let (i, e, b) = (uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE);
    let is = |id: u8, syntax: &str| Some((id, syntax.to_owned()));
    assert_eq!(chosen(&[i, e, b], b), is(5, b));
    assert_eq!(chosen(&[i, b, e], JPEG), None);
    assert_eq!(chosen(&[i, JPEG], JPEG), is(3, JPEG));
    assert_eq!(chosen(&[b, i, e], uids::DEFLATED_LE), is(5, e), "an explicit one is preferred");
    assert_eq!(chosen(&[i], e), is(1, i));
    assert_eq!(chosen(&[JPEG], e), None);
    assert_eq!(chosen(&[uids::DEFLATED_LE], e), None);
    // A context on which the other side is not the SCP, and one of another class.
    let mut others = accepted(&[e]);
    others[0].scu_role = false;
    assert_eq!(choose(&others, &SopClassUid::new(CT), &TransferSyntaxUid::new(e), false), None);
    assert_eq!(choose(&accepted(&[e]), &SopClassUid::new("1.2"), &TransferSyntaxUid::new(e), false), None);
}

#[test]
fn a_duplicate_and_a_coercion_are_stored() {
    for (status, category) in [
        (0x0000, Category::Success),
        (0xB000, Category::Warning),
        (0xB006, Category::Warning),
        (0xB007, Category::Warning),
        (0x0111, Category::Warning),
        (0xA700, Category::Failure),
        (0xC000, Category::Failure),
        (0xFF00, Category::Failure),
        (0xFE00, Category::Failure),
    ] {
        let answer = Command { status: Some(Status(status)), ..Command::default() };
        assert_eq!(outcome(&answer), category, "{status:04X}");
    }
    assert_eq!(outcome(&Command::default()), Category::Failure);
}
