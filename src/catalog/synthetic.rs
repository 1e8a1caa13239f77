//! Rows without files, for measuring how the catalog behaves when it is large. Nothing but the scale test uses this:
//! it is the one way around "only what is durable is recorded" (I1).

use std::net::{IpAddr, Ipv4Addr};

use rusqlite::params;

use super::codes::now;
use super::record::{NewInstance, Receipt};
use super::{Catalog, CatalogError, Control, Job, JobKind, JobSpec, JobState, ListedStudy, source_id};
use crate::dataset::Header;
use crate::dicom::{
    Date, Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, uids,
};
use crate::store::{Destination, Digest, RelativePath};

/// The source that everything here comes from.
pub const SOURCE: &str = "synthetic";

/// Studies written at once.
const CHUNK: u64 = 5000;

/// Devices that made the studies.
const DEVICES: u64 = 24;

/// The archive of a hospital that makes a study every ten minutes, migrated newest first: study 1 is the latest.
/// Manufacturers make UIDs of a number of the device and the time; patients come back whenever they must.
struct Model {
    uid: String,
    date: Option<Date>,
    time: String,
    patient: u64,
}

fn model(study: u64) -> Model {
    let (days, slot) = (i64::try_from(study / 144).unwrap_or(0), 143 - study % 144);
    let date = Date::parse("20240101").ok().map(|last| last.plus_days(-days));
    let time = format!("{:02}{:02}00", slot / 6, slot % 6 * 10);
    let day = date.map(|day| day.to_string()).unwrap_or_default();
    Model {
        uid: format!("1.2.826.0.1.3680043.8.498.{}.{day}{time}.{study}", 100 + study % DEVICES),
        date,
        time,
        patient: study.wrapping_mul(2_654_435_761) % (1 << 32),
    }
}

/// The study of that number, as a source lists it.
pub fn listed(study: u64, instances: u32) -> ListedStudy {
    let Model { uid, date, time, patient } = model(study);
    ListedStudy {
        study_date: date,
        study_date_raw: date.map(|day| day.to_string()).unwrap_or_default(),
        study_time: time,
        patient_id: format!("P{patient}"),
        patient_name: format!("Synthetic^{patient}"),
        modalities: "CT".into(),
        instances: Some(instances),
        ..ListedStudy::of(StudyInstanceUid::new(&uid))
    }
}

/// An instance of that study, as if it had been filed.
pub fn instance(study: u64, number: u32) -> NewInstance {
    let Model { uid, date, time, patient } = model(study);
    let place = date.map_or_else(|| "0000/00/00".to_owned(), |date| date.iso().replace('-', "/"));
    let place = RelativePath::parse(&format!("images/{place}/{uid}/{uid}.1/{uid}.1.{number}.dcm"));
    NewInstance {
        identity: Identity {
            study: StudyInstanceUid::new(&uid),
            series: SeriesInstanceUid::new(&format!("{uid}.1")),
            instance: SopInstanceUid::new(&format!("{uid}.1.{number}")),
            class: SopClassUid::new("1.2.840.10008.5.1.4.1.1.2"),
        },
        header: Header {
            patient_id: Some(format!("P{patient}")),
            patient_name: Some(format!("Synthetic^{patient}")),
            patient_birth_date: Some("19700101".into()),
            patient_sex: Some("O".into()),
            study_date: date.map(|day| day.to_string()),
            study_time: Some(time),
            modality: Some("CT".into()),
            series_number: Some("1".into()),
            instance_number: Some(number.to_string()),
            rows: Some(512),
            columns: Some(512),
            ..Header::default()
        },
        digest: Some(Digest::from_bytes(*blake3::hash(format!("{uid}.{number}").as_bytes()).as_bytes())),
        length: 525_000,
        file_size: 525_400,
        transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
        place: place.expect("digits and dots").into(),
        replaces: None,
        destination: Destination::Image,
        receipt: Receipt {
            source: Some(SOURCE.into()),
            ae_title: "OLDPACS".into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            association: study,
            process: "synthetic".into(),
        },
    }
}

/// The only instance of that series of the study, for studies that have many.
pub fn series(study: u64, number: u32) -> NewInstance {
    let mut instance = instance(study, number);
    let series = format!("{}.{number}", instance.identity.study.as_str());
    instance.identity.instance = SopInstanceUid::new(&format!("{series}.1"));
    instance.identity.series = SeriesInstanceUid::new(&series);
    instance.header.series_number = Some(number.to_string());
    instance.header.series_description = Some(format!("Phase {number} of the heart"));
    instance
}

/// Makes a job over that many studies, from number `first` on, all listed.
pub async fn job(catalog: &Catalog, first: u64, studies: u64, per_study: u32) -> Result<Job, CatalogError> {
    let job = catalog
        .create_job(&JobSpec {
            kind: JobKind::Migration,
            source: Some(SOURCE.into()),
            from: None,
            to: None,
            studies: Vec::new(),
            modalities: Vec::new(),
            follow: None,
            import: None,
        })
        .await?;
    catalog.set_job_state(job.id, JobState::Running, None).await?;
    catalog.set_control(job.id, Control::Run).await?;
    for from in (first..first + studies).step_by(usize::try_from(CHUNK).unwrap_or(1)) {
        let to = (from + CHUNK).min(first + studies);
        catalog.add_studies(job.id, (from..to).map(|study| listed(study, per_study)).collect()).await?;
    }
    Ok(job)
}

/// Fills an empty catalog with studies 1 to `studies`, each with its instances and receipts: the rows that
/// [`Catalog::record`] would have written, without the one-by-one.
pub fn fill(catalog: &Catalog, studies: u64, per_study: u32) -> Result<(), CatalogError> {
    // Rows in no order need many pages at once; afterwards the connection is as small as ever.
    let cache = |kib: i64| catalog.db.write_blocking(move |tx| Ok(tx.pragma_update(None, "cache_size", -kib)?));
    cache(1 << 20)?;
    fill_all(catalog, studies, per_study)?;
    Ok(cache(2048)?)
}

fn fill_all(catalog: &Catalog, studies: u64, per_study: u32) -> Result<(), CatalogError> {
    for from in (1..=studies).step_by(usize::try_from(CHUNK).unwrap_or(1)) {
        let to = (from + CHUNK - 1).min(studies);
        catalog.db.write_blocking(move |tx| {
            let source = source_id(tx, Some(SOURCE))?;
            for study in from..=to {
                let first = instance(study, 1);
                let id = i64::try_from(study).unwrap_or(i64::MAX);
                let name = first.header.patient_name.unwrap_or_default();
                tx.prepare_cached("INSERT INTO patients (id, patient_id, issuer, name, name_folded, birth_date, sex)
                     VALUES (?1, ?2, '', ?3, lower(?3), '19700101', 'O')")?
                    .execute(params![id, first.header.patient_id, name])?;
                tx.prepare_cached("INSERT INTO patient_names (folded, patient) VALUES (lower(?1), ?2)")?
                    .execute(params![name, id])?;
                tx.prepare_cached(
                    "INSERT INTO studies (id, uid, patient, study_date, study_time, modalities, sop_classes, series, instances)
                     VALUES (?1, ?2, ?1, ?3, ?5, 'CT', ?6, 1, ?4)",
                )?
                .execute(params![
                    id,
                    first.identity.study.as_str(),
                    first.header.study_date,
                    per_study,
                    first.header.study_time,
                    first.identity.class.as_str(),
                ])?;
                let place = first.place.to_string();
                let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
                tx.prepare_cached("INSERT INTO series VALUES (?1, ?1, ?2, 'CT', '1', '', '', '', '', ?4, ?3)")?
                    .execute(params![id, first.identity.series.as_str(), per_study, folder])?;
                tx.prepare_cached(
                    "WITH RECURSIVE n (k) AS (VALUES (1) UNION ALL SELECT k + 1 FROM n WHERE k < ?2)
                     INSERT INTO instances (id, uid, series, class, transfer_syntax, number, rows, columns, frames, place,
                        length, file_size, digest, origin, at)
                     SELECT (?1 - 1) * ?2 + k, ?3 || '.' || k, ?1, 1, 2, k, 512, 512, '', NULL,
                        525000, 525400, randomblob(32), 1, ?4 FROM n",
                )?
                .execute(params![id, per_study, first.identity.series.as_str(), now()])?;
                tx.prepare_cached(
                    "WITH RECURSIVE n (k) AS (VALUES (1) UNION ALL SELECT k + 1 FROM n WHERE k < ?2)
                     INSERT INTO receipts SELECT ?1, ?3, k, ?4, 0, (?1 - 1) * ?2 + k, NULL, ?1, 1, 525000 FROM n",
                )?
                .execute(params![id, per_study, source, now()])?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
