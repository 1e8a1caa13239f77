//! C-FIND of a Modality Worklist (PS3.4 annex K): who is expected.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::find::Find;
use super::{ScuError, Service, SourceSession};
use crate::dataset::Elements;
use crate::dicom::{DateRange, Encoding, Tag, tags};

/// Item (FFFE,E000), as it stands before the bytes of an item in Little Endian.
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// What is returned of each entry, beside the keys of the step.
const PATIENT: [Tag; 3] = [tags::PATIENT_ID, tags::ISSUER_OF_PATIENT_ID, tags::PATIENT_NAME];

impl SourceSession {
    /// Asks for the entries of these days. The idle time starts again with every answer.
    pub async fn worklist<'a>(
        &'a mut self,
        days: DateRange,
        idle: Duration,
        cancel: &'a CancellationToken,
    ) -> Result<Find<'a>, ScuError> {
        let context = self.context(Service::Worklist)?;
        self.ask(context, &worklist_identifier(days, context.encoding), idle, cancel).await
    }
}

/// The identifier of such a query: matching by the day of the scheduled step, and nothing else.
pub fn worklist_identifier(days: DateRange, encoding: Encoding) -> Vec<u8> {
    let mut step = Elements::new();
    step.put(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, &days.key());
    for tag in [tags::MODALITY, tags::SCHEDULED_STATION_AE_TITLE, tags::SCHEDULED_PROCEDURE_STEP_START_TIME] {
        step.put(tag, "");
    }
    let step = step.write(encoding);
    let mut item = ITEM.to_vec();
    // Some dozen bytes.
    item.extend(u32::try_from(step.len()).unwrap_or(u32::MAX).to_le_bytes());
    item.extend(step);
    let mut identifier = Elements::new();
    for tag in PATIENT {
        identifier.put(tag, "");
    }
    identifier.put_bytes(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, *b"SQ", &item);
    identifier.write(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{CharacterSet, Tree, Value};
    use crate::dicom::{Date, TransferSyntaxUid, encoding_of, uids};

    #[test]
    fn the_day_stands_in_the_scheduled_step() {
        let (first, last) = (Date::parse("20260105").unwrap(), Date::parse("20260106").unwrap());
        for syntax in [uids::EXPLICIT_LE, uids::IMPLICIT_LE].map(TransferSyntaxUid::new) {
            let bytes = worklist_identifier(DateRange { from: Some(first), to: Some(last) }, encoding_of(&syntax));
            let tree = Tree::read(bytes.as_slice(), &syntax, &CharacterSet::ascii(), 4096).unwrap();
            assert!(tree.contains(tags::PATIENT_ID) && tree.contains(tags::ISSUER_OF_PATIENT_ID));
            let Value::Items(steps) = &tree.get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap().value else {
                panic!("no sequence");
            };
            let day = steps[0].text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE);
            assert_eq!((steps.len(), day), (1, Some("20260105-20260106")));
        }
    }
}
