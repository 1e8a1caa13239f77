//! What every moved object says of itself: whose it is, whether it is signed, whether it has an order. Samples would not
//! do: a series that holds images of several patients is just what is to be put right.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::header::{self, Extent};
use super::{ContentError, PatientSheet, attributes};
use crate::catalog::{Catalog, HeldInstance, ObjectFacts};
use crate::dataset::CharacterSet;
use crate::outlet::Outlet;

/// Objects that are asked for at one time, and that are read at one time.
const PAGE: usize = 256;
const AT_ONCE: usize = 8;
/// So many bytes in all are read to the end of their objects, where signatures stand.
const TO_THE_END: u64 = 2 << 30;

/// What all of the objects say.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    /// The patients that they name, the one of the first object first, with how many objects each.
    pub(super) patients: Vec<(PatientSheet, u64)>,
    /// Whose each object is, as a place among these; those that cannot be read are nobody's.
    whose: HashMap<i64, usize>,
    /// Objects that cannot be read, and the first of them.
    pub(super) unread: Option<(u64, String)>,
    /// The SOP Instance UIDs of those that are digitally signed.
    pub(super) signed: Vec<String>,
    /// Objects of which only the header was read, so that nobody knows whether they are signed.
    pub(super) unfinished: u64,
    /// Whether one of them names an order.
    pub(super) ordered: bool,
    /// Whether the character set of some text is nothing but a guess.
    pub(super) guessed: bool,
}

/// Reads the headers of all of them; `charset` is what is meant where they name none.
pub(super) async fn of(
    catalog: &Catalog,
    outlet: &Outlet,
    objects: &[ObjectFacts],
    charset: &CharacterSet,
) -> Result<Survey, ContentError> {
    let (mut survey, charset) = (Survey::default(), Arc::new(charset.clone()));
    let mut known: HashMap<PatientSheet, usize> = HashMap::new();
    let mut budget = TO_THE_END;
    let ids: Vec<i64> = objects.iter().map(|object| object.id).collect();
    for page in ids.chunks(PAGE) {
        let held = catalog.held(page).await?;
        let looks = held.into_iter().map(|held| {
            let (id, uid) = (held.id, held.instance.clone());
            let extent = extent(&held, &mut budget);
            let (outlet, charset) = (outlet.clone(), Arc::clone(&charset));
            async move { (id, uid, extent, header::read(&outlet, held, &charset, extent).await) }
        });
        // Made here, one after the other: they share the budget.
        let looks: Vec<_> = looks.collect();
        let mut looks = stream::iter(looks).map(tokio::spawn).buffered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            let looked = looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let (id, uid, extent, shown) = looked;
            let shown = match shown {
                Ok(shown) => shown,
                Err(error) => {
                    tracing::warn!(instance.uid = %uid, error = &error as &dyn std::error::Error, "an object to be moved cannot be read");
                    survey.unread.get_or_insert_with(|| (0, uid.to_string())).0 += 1;
                    continue;
                }
            };
            let patient = PatientSheet::of(&shown.header);
            let place = *known.entry(patient.clone()).or_insert(survey.patients.len());
            match survey.patients.get_mut(place) {
                Some((_, objects)) => *objects += 1,
                None => survey.patients.push((patient, 1)),
            }
            survey.whose.insert(id, place);
            if shown.signed {
                survey.signed.push(uid.to_string());
            }
            survey.unfinished += u64::from(extent == Extent::Header);
            survey.ordered |= attributes::ORDER.iter().any(|tag| shown.header.contains(*tag));
            survey.guessed |= shown.guessed;
        }
    }
    Ok(survey)
}

/// How much of an object is read: all of it as long as that is not too much.
fn extent(held: &HeldInstance, budget: &mut u64) -> Extent {
    match budget.checked_sub(held.length) {
        Some(left) if held.length <= header::LONGEST_TO_END => {
            *budget = left;
            Extent::ToTheEnd
        }
        _ => Extent::Header,
    }
}

impl Survey {
    /// Those of the objects that are not, or not known to be, of this patient.
    pub(super) fn strangers(&self, objects: &[ObjectFacts], patient: &PatientSheet) -> Vec<i64> {
        let own: Vec<bool> = self.patients.iter().map(|(other, _)| other == patient || other.is(patient)).collect();
        let is_own = |id: &i64| self.whose.get(id).and_then(|place| own.get(*place)).copied().unwrap_or(false);
        objects.iter().map(|object| object.id).filter(|id| !is_own(id)).collect()
    }

    /// Whether they name several patients, or one in several ways.
    pub(super) fn is_mixed(&self) -> bool {
        self.patients.len() > 1
    }
}
