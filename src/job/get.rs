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

/// The associations that together can take objects of these classes: each proposes as many classes as fit, in one
/// context per class *and* transfer syntax, so that the source sends each object as it holds it.
pub(super) fn purposes(mut classes: Vec<SopClassUid>) -> Vec<Purpose> {
    if classes.is_empty() {
        classes = USUAL_CLASSES.iter().map(|class| SopClassUid::new(class)).collect();
    }
    let syntaxes: Vec<TransferSyntaxUid> = SYNTAXES.iter().map(|s| TransferSyntaxUid::new(s)).collect();
    classes
        .chunks(MOST_STORAGE_CONTEXTS / SYNTAXES.len())
        .map(|group| Purpose::Get(group.iter().map(|class| (class.clone(), syntaxes.clone())).collect()))
        .collect()
}

/// Files what arrives on the association of a C-GET through the same intake as everything else.
pub(super) fn store(work: &Arc<Work>, source: &Source) -> Retrieve {
    let (work, name) = (Arc::clone(work), source.name.clone());
    Retrieve::Get(Arc::new(move |stream: ObjectStream| {
        let (work, name) = (Arc::clone(&work), name.clone());
        Box::pin(async move {
            let charset = charset_of(&work.engine.config.borrow(), Some(&name));
            let early = work.engine.config.borrow().receiver.answer == AnswerPolicy::Received;
            let may_answer_early =
                |identity: &Identity| early && work.engine.catalog.pull_open(&name, &identity.study).unwrap_or(false);
            let stored = work.engine.intake.store(stream, charset, &may_answer_early).await;
            if let Err(failure) = &stored {
                tracing::error!(error = failure as &dyn std::error::Error, "an object of a C-GET was refused");
            }
            answer_of(&stored)
        })
    }))
}
