//! C-GET: which contexts to propose, and where its objects go.

use std::sync::Arc;

use super::work::Work;
use crate::config::{AnswerPolicy, Source};
use crate::dicom::{Identity, SopClassUid, TransferSyntaxUid};
use crate::object::ObjectStream;
use crate::scp::{answer_of, charset_of};
use crate::scu::{MOST_STORAGE_CONTEXTS, Purpose, Retrieve};

/// Transfer syntaxes that a source may hold objects in; the native ones first.
const SYNTAXES: [&str; 25] = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.108",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
];

/// What to propose when the source does not tell the SOP classes of a study: those that archives hold most of.
const USUAL_CLASSES: [&str; 30] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.4",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.13.1.3",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.59",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.481.5",
];

/// The other storage SOP classes of PS3.4 Annex B.5, retired ones too: what follows the branch of storage.
const OTHER_CLASSES: &str = "\
    1.3 1.3.1 2.2 2.3 2.4 2.5 3 4.2 4.3 4.4 5 6.2 6.3 7.1 7.3 8 9 9.1 9.1.1 9.1.2 9.1.3 9.1.4 9.2.1 9.3.1 \
    9.4.1 9.4.2 9.5.1 9.6.1 9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1 9.100.1 9.100.2 10 11 11.2 11.3 11.4 11.5 \
    11.6 11.7 11.8 11.9 11.10 11.11 11.12 12.1.1 12.2.1 12.3 13.1.1 13.1.2 13.1.4 13.1.5 14.1 14.2 30 66 \
    66.1 66.2 66.3 66.4 66.5 66.6 66.7 66.8 67 68.1 68.2 77.1 77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 \
    77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8 77.1.6 77.1.7 77.1.8 \
    77.1.9 77.2 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 82.1 88.1 88.2 88.3 88.4 88.34 88.35 \
    88.40 88.50 88.65 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76 88.77 90.1 91.1 104.2 104.3 \
    104.4 104.5 128.1 129 130 131 200.1 200.2 200.3 200.7 200.8 201.1 201.1.1 481.1 481.4 481.6 481.7 481.8 \
    481.9 481.10 481.11 481.12 481.13 481.14 481.15 481.16 481.17 481.18 481.19 481.20 481.21 481.22 481.23 \
    481.24 481.25 501.1 501.2.1 501.2.2 501.3 501.4 501.5 501.6 601.1 601.2 601.3 601.4 601.5";
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
/// What the rare classes, mostly waveforms, plans and documents, are held in.
const NATIVE: [&str; 2] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"];

/// The associations that together can take objects of these classes: each proposes as many classes as fit, in one
/// context per class *and* transfer syntax, so that the source sends each object as it holds it.
///
/// When the source does not tell the classes, the usual ones come first and the rare ones last; who asks may stop as
/// soon as an association brought everything.
pub(super) fn purposes(classes: Vec<SopClassUid>) -> Vec<Purpose> {
    if !classes.is_empty() {
        return associations(&classes, &SYNTAXES).collect();
    }
    let usual: Vec<_> = USUAL_CLASSES.iter().map(|class| SopClassUid::new(class)).collect();
    let other: Vec<_> = OTHER_CLASSES.split(' ').map(|class| SopClassUid::new(&format!("{STORAGE}{class}"))).collect();
    associations(&usual, &SYNTAXES).chain(associations(&other, &NATIVE)).collect()
}

fn associations<'a>(classes: &'a [SopClassUid], syntaxes: &[&str]) -> impl Iterator<Item = Purpose> + use<'a> {
    let per_association = MOST_STORAGE_CONTEXTS / syntaxes.len();
    let syntaxes: Vec<_> = syntaxes.iter().map(|s| TransferSyntaxUid::new(s)).collect();
    classes
        .chunks(per_association)
        .map(move |group| Purpose::Get(group.iter().map(|class| (class.clone(), syntaxes.clone())).collect()))
}

/// Files what arrives on the association of a C-GET through the same intake as everything else.
pub(super) fn store(work: &Arc<Work>, source: &Source) -> Retrieve {
    let (work, name) = (Arc::clone(work), source.name.clone());
    Retrieve::Get(Arc::new(move |stream: ObjectStream| {
        let (work, name) = (Arc::clone(&work), name.clone());
        Box::pin(async move {
            let charset = charset_of(&work.engine.config.borrow(), Some(&name));
            let early = work.engine.config.borrow().receiver.answer == AnswerPolicy::Received;
            let may_answer_early = |identity: &Identity| {
                let pulled = work.engine.catalog.pull_open(&name, &identity.study).unwrap_or(false);
                if !pulled {
                    work.gate.strange();
                }
                early && pulled
            };
            let stored = work.engine.intake.store(stream, charset, &may_answer_early).await;
            let answer = answer_of(&stored);
            if let Err(failure) = &stored {
                tracing::error!(error = failure as &dyn std::error::Error, "an object of a C-GET was refused");
                work.gate.refused(answer.0, failure);
            }
            answer
        })
    }))
}
