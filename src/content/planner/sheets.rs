//! What a plan shows of both sides: series, studies, and the nodes that hold copies.

use std::collections::{BTreeMap, HashMap};

use super::Planner;
use crate::catalog::{Departure, ObjectFacts, StudyFacts};
use crate::content::{ContentError, CopySheet, PatientSheet, SeriesSheet, StudySheet};
use crate::dataset::Tree;
use crate::dicom::{SeriesInstanceUid, tags};

impl Planner<'_> {
    /// What is moved, by series.
    pub(super) fn series(&self, new: &HashMap<SeriesInstanceUid, SeriesInstanceUid>) -> Vec<SeriesSheet> {
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for object in &self.objects {
            *counts.entry(object.series_id).or_default() += 1;
        }
        let of = |facts: &crate::catalog::SeriesFacts| {
            counts.get(&facts.id).map(|objects| SeriesSheet {
                uid: facts.uid.to_string(),
                new_uid: new.get(&facts.uid).unwrap_or(&facts.uid).to_string(),
                modality: facts.modality.clone(),
                number: facts.number.clone(),
                description: facts.description.clone(),
                objects: *objects,
                part: *objects < facts.instances,
            })
        };
        self.source.series.iter().filter_map(of).collect()
    }

    /// Which nodes have copies of what is moved, or of what is replaced because of that.
    pub(super) async fn copies(&self, replaced: &[&ObjectFacts]) -> Result<Vec<CopySheet>, ContentError> {
        let mut series: Vec<i64> =
            self.objects.iter().chain(replaced.iter().copied()).map(|object| object.series_id).collect();
        series.sort_unstable();
        series.dedup();
        Ok(self.copies_of(self.content.catalog.departures(&series).await?))
    }

    fn copies_of(&self, departures: Vec<Departure>) -> Vec<CopySheet> {
        let mut copies: BTreeMap<String, CopySheet> = BTreeMap::new();
        for Departure { peer, last, instances, .. } in departures {
            let told =
                self.content.config.peers.iter().any(|known| known.ae_title.as_str() == peer && known.corrections);
            let copy = copies.entry(peer.clone()).or_insert(CopySheet { node: peer, objects: 0, last, told });
            copy.objects += instances;
            copy.last = copy.last.max(last);
        }
        copies.into_values().collect()
    }

    pub(super) async fn destination_sheet(
        &self,
        patient: PatientSheet,
        header: &Tree,
    ) -> Result<StudySheet, ContentError> {
        let Some(facts) = &self.destination else {
            let text = |tag| header.text(tag).unwrap_or_default().to_owned();
            return Ok(StudySheet {
                uid: self.to.to_string(),
                exists: false,
                patient,
                date: text(tags::STUDY_DATE),
                accession_number: text(tags::ACCESSION_NUMBER),
                description: text(tags::STUDY_DESCRIPTION),
                objects: 0,
                objects_after: 0,
                copies: Vec::new(),
                findings: 0,
            });
        };
        let mut sheet = of(facts, patient);
        sheet.copies = self.copies_of(self.content.catalog.departures_of_study(&facts.uid).await?);
        Ok(sheet)
    }
}

/// What is known of a study that exists.
pub(super) fn of(facts: &StudyFacts, patient: PatientSheet) -> StudySheet {
    StudySheet {
        uid: facts.uid.to_string(),
        exists: true,
        patient,
        date: facts.study_date.clone(),
        accession_number: facts.accession_number.clone(),
        description: facts.description.clone(),
        objects: facts.instances,
        objects_after: facts.instances,
        copies: Vec::new(),
        findings: 0,
    }
}
