//! Patients, studies and series of one batch: found or made once, their kept counts written at its end.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::names::text;
use super::replace::{folder_of, usual_folder};
use crate::catalog::{FLAG_COLLISION, FLAG_PATIENTS};
use crate::dataset::{Header, fold_person_name};
use crate::db::DbError;
use crate::dicom::{Date, SeriesInstanceUid, StudyInstanceUid};

#[derive(Default)]
pub(in crate::catalog) struct Hierarchy {
    study_ids: HashMap<String, i64>,
    studies: HashMap<i64, Study>,
    series_ids: HashMap<(i64, String), i64>,
    series: HashMap<i64, Series>,
    patients: HashMap<[String; 5], i64>,
}

#[derive(Default)]
struct Study {
    /// Patient ID and issuer, once an instance has told them.
    patient: Option<(String, String)>,
    modalities: String,
    sop_classes: String,
    instances: i64,
    new_instances: i64,
    new_series: i64,
    new_flags: i64,
}

#[derive(Default)]
struct Series {
    folder: String,
    instances: i64,
    new_instances: i64,
}

impl Hierarchy {
    /// The study of that UID. One that is new stays hidden until an instance is filed in it.
    pub(super) fn study(&mut self, tx: &Transaction<'_>, uid: &StudyInstanceUid) -> Result<i64, DbError> {
        if let Some(id) = self.study_ids.get(uid.as_str()) {
            return Ok(*id);
        }
        let found = tx
            .prepare_cached(
                "SELECT s.id, p.patient_id, p.issuer, s.modalities, s.sop_classes, s.instances
                 FROM studies s LEFT JOIN patients p ON p.id = s.patient WHERE s.uid = ?1",
            )?
            .query_row([uid.as_str()], |row| {
                let patient: Option<String> = row.get(1)?;
                let issuer: Option<String> = row.get(2)?;
                let (modalities, sop_classes, instances) = (row.get(3)?, row.get(4)?, row.get(5)?);
                let patient = patient.zip(issuer);
                Ok((row.get(0)?, Study { patient, modalities, sop_classes, instances, ..Study::default() }))
            })
            .optional()?;
        let (id, study) = match found {
            Some(found) => found,
            None => {
                tx.prepare_cached("INSERT INTO studies (uid) VALUES (?1)")?.execute([uid.as_str()])?;
                (tx.last_insert_rowid(), Study::default())
            }
        };
        self.study_ids.insert(uid.as_str().to_owned(), id);
        self.studies.insert(id, study);
        Ok(id)
    }

    /// The series of that UID in a study, made of the header where it is new.
    pub(in crate::catalog) fn series(
        &mut self,
        tx: &Transaction<'_>,
        study: i64,
        uid: &SeriesInstanceUid,
        header: &Header,
    ) -> Result<i64, DbError> {
        let key = (study, uid.as_str().to_owned());
        if let Some(id) = self.series_ids.get(&key) {
            return Ok(*id);
        }
        let found = tx
            .prepare_cached("SELECT id, instances, folder FROM series WHERE uid = ?1 AND study = ?2")?
            .query_row(params![uid.as_str(), study], |row| {
                Ok((row.get(0)?, Series { instances: row.get(1)?, folder: row.get(2)?, new_instances: 0 }))
            })
            .optional()?;
        let (id, series) = match found {
            Some(found) => found,
            None => {
                tx.prepare_cached(
                    "INSERT INTO series (study, uid, modality, number, description, series_date, series_time, body_part)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    study,
                    uid.as_str(),
                    text(&header.modality),
                    text(&header.series_number),
                    text(&header.series_description),
                    date(&header.series_date),
                    text(&header.series_time),
                    text(&header.body_part),
                ])?;
                (tx.last_insert_rowid(), Series::default())
            }
        };
        self.series_ids.insert(key, id);
        self.series.insert(id, series);
        Ok(id)
    }

    /// Whether a place is the one that the series and the UID tell already. The first place of a series decides, at once
    /// in its row: a later object of the batch may read the place of this one.
    pub(super) fn is_usual(&mut self, tx: &Transaction<'_>, id: i64, place: &str, uid: &str) -> Result<bool, DbError> {
        let folder = folder_of(place, uid);
        let (Some(folder), Some(series)) = (folder, self.series.get_mut(&id)) else { return Ok(false) };
        if series.folder.is_empty() {
            series.folder = usual_folder(tx, id, folder)?;
        }
        Ok(series.folder == folder)
    }

    /// An instance was filed.
    pub(super) fn filed(
        &mut self,
        tx: &Transaction<'_>,
        study: i64,
        series: i64,
        class: &str,
        header: &Header,
    ) -> Result<(), DbError> {
        let row = self.studies.entry(study).or_default();
        if row.instances + row.new_instances == 0 {
            let patient = patient(&mut self.patients, tx, header)?;
            describe(tx, study, patient, header)?;
        }
        let (id, issuer) = (text(&header.patient_id), text(&header.issuer_of_patient_id));
        match &row.patient {
            Some((known, its_issuer)) if known != id || its_issuer != issuer => row.new_flags |= FLAG_PATIENTS,
            Some(_) => {}
            None => row.patient = Some((id.to_owned(), issuer.to_owned())),
        }
        row.new_instances += 1;
        add(&mut row.sop_classes, class);
        let one = self.series.entry(series).or_default();
        if one.instances + one.new_instances == 0 {
            row.new_series += 1;
            add(&mut row.modalities, text(&header.modality));
        }
        one.new_instances += 1;
        Ok(())
    }

    /// An object collided with a filed instance: its study, and the one that it names, are flagged.
    pub(super) fn collided(&self, tx: &Transaction<'_>, study: i64, instance: i64) -> Result<(), DbError> {
        tx.prepare_cached(
            "UPDATE studies SET flags = flags | ?3 WHERE id = ?1
                OR id = (SELECT se.study FROM instances i JOIN series se ON se.id = i.series WHERE i.id = ?2)",
        )?
        .execute([study, instance, FLAG_COLLISION])?;
        Ok(())
    }

    /// Writes the counts.
    pub(super) fn write(&self, tx: &Transaction<'_>) -> Result<(), DbError> {
        for (id, series) in self.series.iter().filter(|(_, series)| series.new_instances > 0) {
            tx.prepare_cached("UPDATE series SET instances = instances + ?2 WHERE id = ?1")?
                .execute(params![id, series.new_instances])?;
        }
        for (id, study) in self.studies.iter().filter(|(_, study)| study.new_instances > 0) {
            tx.prepare_cached(
                "UPDATE studies SET instances = instances + ?2, series = series + ?3, modalities = ?4, flags = flags | ?5,
                    sop_classes = ?6 WHERE id = ?1",
            )?
            .execute(params![
                id,
                study.new_instances,
                study.new_series,
                study.modalities,
                study.new_flags,
                study.sop_classes
            ])?;
        }
        Ok(())
    }
}

/// Adds a value to those that are separated by backslashes, unless it is there.
fn add(values: &mut String, value: &str) {
    if value.is_empty() || values.split('\\').any(|known| known == value) {
        return;
    }
    if !values.is_empty() {
        values.push('\\');
    }
    values.push_str(value);
}

/// The row with exactly these demographics.
fn patient(known: &mut HashMap<[String; 5], i64>, tx: &Transaction<'_>, header: &Header) -> Result<i64, DbError> {
    let key = [
        text(&header.patient_id),
        text(&header.issuer_of_patient_id),
        text(&header.patient_name),
        &date(&header.patient_birth_date),
        text(&header.patient_sex),
    ]
    .map(str::to_owned);
    if let Some(id) = known.get(&key) {
        return Ok(*id);
    }
    let found = tx
        .prepare_cached(
            "SELECT id FROM patients WHERE patient_id = ?1 AND issuer = ?2 AND name = ?3 AND birth_date = ?4 AND sex = ?5",
        )?
        .query_row(rusqlite::params_from_iter(&key), |row| row.get(0))
        .optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            let [patient_id, issuer, name, birth_date, sex] = &key;
            let folded = fold_person_name(name);
            tx.prepare_cached(
                "INSERT INTO patients (patient_id, issuer, name, birth_date, sex, name_folded) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![patient_id, issuer, name, birth_date, sex, folded])?;
            let id = tx.last_insert_rowid();
            // Nobody's name is an empty group.
            let named = folded.split('=').any(|group| !group.is_empty());
            for group in folded.split('=').filter(|group| named != group.is_empty()) {
                tx.prepare_cached("INSERT OR IGNORE INTO patient_names (folded, patient) VALUES (?1, ?2)")?
                    .execute(params![group, id])?;
            }
            id
        }
    };
    known.insert(key, id);
    Ok(id)
}

/// Lets a study be what a header says, before anything is shown in it.
pub(in crate::catalog) fn describe_as(tx: &Transaction<'_>, study: i64, header: &Header) -> Result<(), DbError> {
    let patient = patient(&mut HashMap::new(), tx, header)?;
    describe(tx, study, patient, header)
}

/// The study is what its first filed instance says.
fn describe(tx: &Transaction<'_>, study: i64, patient: i64, header: &Header) -> Result<(), DbError> {
    let physician = text(&header.referring_physician_name);
    tx.prepare_cached(
        "UPDATE studies SET patient = ?2, study_date = ?3, study_time = ?4, study_id = ?5, accession_number = ?6,
            description = ?7, referring_physician = ?8, referring_folded = ?9 WHERE id = ?1",
    )?
    .execute(params![
        study,
        patient,
        date(&header.study_date),
        text(&header.study_time),
        text(&header.study_id),
        text(&header.accession_number),
        text(&header.study_description),
        physician,
        fold_person_name(physician),
    ])?;
    Ok(())
}

/// A date as YYYYMMDD where it is one, so that ranges find it; else as it stands.
fn date(value: &Option<String>) -> String {
    let value = text(value);
    Date::parse(value).map_or_else(|_| value.to_owned(), |date| date.to_string())
}
