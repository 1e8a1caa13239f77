//! What a retrieve asks for: which instances these are, in order, and where the bytes of each are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::codes::unsigned;
use super::corrections::{Amendments, shown_as, shown_uid};
use super::places::{Bytes, instance_bytes};
use super::{Catalog, CatalogError, ShownAs};
use crate::dataset::Amendment;
use crate::db::DbError;
use crate::dicom::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use crate::store::{Digest, Place};

/// Instances by their unique keys: an empty list, or none, asks for nothing in particular. One of them is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patient ID, exactly.
    pub patient_id: Option<String>,
    /// Study Instance UIDs.
    pub studies: Vec<StudyInstanceUid>,
    /// Series Instance UIDs.
    pub series: Vec<SeriesInstanceUid>,
    /// SOP Instance UIDs.
    pub instances: Vec<SopInstanceUid>,
}

/// The instances of a [`Selection`]: the newest study first, by series and instance number. Small, so that all of a
/// patient's can be held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// The SOP classes and transfer syntaxes that there are.
    pub kinds: Vec<(SopClassUid, TransferSyntaxUid)>,
    /// Each with its number for [`Catalog::held`], and that of its kind.
    pub instances: Vec<(i64, usize)>,
    /// There are more than were asked for.
    pub more: bool,
}

/// An instance that is held: the one that is current under its UID, never a variant or what is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldInstance {
    /// Its number in this catalog.
    pub id: i64,
    /// The study that it is shown in.
    pub study: StudyInstanceUid,
    /// The SOP Instance UID that it is shown with.
    pub instance: SopInstanceUid,
    /// The identity under which it leaves.
    pub shown: ShownAs,
    /// What is different in it when it leaves, to be applied in this order to what is stored.
    pub amendments: Vec<Arc<Amendment>>,
    /// Its SOP class.
    pub class: SopClassUid,
    /// The transfer syntax that it is held in.
    pub transfer_syntax: TransferSyntaxUid,
    /// Where its bytes are.
    pub place: Place,
    /// Bytes of the data set.
    pub length: u64,
    /// BLAKE3 of the data set; of a linked file it may not be known.
    pub digest: Option<Digest>,
}

/// So many instances of a SOP class are held in a transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKind {
    /// The SOP class.
    pub class: SopClassUid,
    /// The transfer syntax.
    pub transfer_syntax: TransferSyntaxUid,
    /// How many, of those that were looked at.
    pub instances: u64,
}

impl Catalog {
    /// What kinds the latest instances are of, so many of them being looked at.
    pub async fn held_kinds(&self, sample: usize) -> Result<Vec<HeldKind>, CatalogError> {
        let sample = i64::try_from(sample).unwrap_or(i64::MAX);
        self.read(move |c| {
            let kind = |row: &Row<'_>| {
                Ok(HeldKind {
                    class: SopClassUid::new(row.get_ref(0)?.as_str()?),
                    transfer_syntax: TransferSyntaxUid::new(row.get_ref(1)?.as_str()?),
                    instances: unsigned(row.get(2)?),
                })
            };
            Ok(c.prepare_cached(KINDS)?.query_map([sample], kind)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The instances of a selection, `limit` at most.
    pub async fn select(&self, selection: &Selection, limit: usize) -> Result<Selected, CatalogError> {
        let (sql, parameters) = statement(selection, limit);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
            let mut selected = Selected::default();
            let mut known: HashMap<(i64, i64), usize> = HashMap::new();
            while let Some(row) = rows.next()? {
                if selected.instances.len() == limit {
                    selected.more = true;
                    break;
                }
                let pair = (row.get(1)?, row.get(2)?);
                let kind = match known.get(&pair) {
                    Some(kind) => *kind,
                    None => {
                        let (class, syntax) = (uid(c, pair.0)?, uid(c, pair.1)?);
                        selected.kinds.push((SopClassUid::new(&class), TransferSyntaxUid::new(&syntax)));
                        known.insert(pair, selected.kinds.len() - 1);
                        selected.kinds.len() - 1
                    }
                };
                selected.instances.push((row.get(0)?, kind));
            }
            Ok(selected)
        })
        .await
    }

    /// These instances, in this order; one that is no longer there is left out.
    pub async fn held(&self, ids: &[i64]) -> Result<Vec<HeldInstance>, CatalogError> {
        let ids = serde_json::Value::from(ids).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(HELD)?;
            let mut rows = statement.query([ids])?;
            let (mut held, mut amendments) = (Vec::new(), Amendments::default());
            while let Some(row) = rows.next()? {
                held.push(held_instance(c, row, &mut amendments)?);
            }
            Ok(held)
        })
        .await
    }
}

fn held_instance(c: &Connection, row: &Row<'_>, amendments: &mut Amendments) -> Result<HeldInstance, DbError> {
    let text = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let Bytes { place, length, digest, .. } = Bytes::read(row, 8)?;
    let (id, correction): (i64, Option<i64>) = (row.get(0)?, row.get(6)?);
    Ok(HeldInstance {
        id,
        study: StudyInstanceUid::new(text(1)?),
        instance: SopInstanceUid::new(text(2)?),
        class: SopClassUid::new(text(3)?),
        transfer_syntax: TransferSyntaxUid::new(text(4)?),
        shown: ShownAs { series: row.get(5)?, correction: correction.unwrap_or(0) },
        amendments: amendments.of(c, id, text(7)?, correction)?,
        place,
        length,
        digest,
    })
}

fn uid(c: &Connection, id: i64) -> Result<String, DbError> {
    Ok(c.prepare_cached("SELECT uid FROM uids WHERE id = ?1")?.query_row([id], |row| row.get(0))?)
}

const KINDS: &str = "SELECT c.uid, t.uid, count(*)
    FROM (SELECT class, transfer_syntax FROM instances ORDER BY id DESC LIMIT ?1) i
        CROSS JOIN uids c ON c.id = i.class CROSS JOIN uids t ON t.id = i.transfer_syntax
    GROUP BY i.class, i.transfer_syntax";

pub(super) const HELD: &str = concat!(
    "SELECT i.id, st.uid, ",
    shown_uid!(),
    ", c.uid, t.uid, i.series, i.correction, i.uid, ",
    instance_bytes!(),
    " FROM json_each(?1) j CROSS JOIN instances i ON i.id = j.value CROSS JOIN series se ON se.id = i.series
        CROSS JOIN studies st ON st.id = se.study CROSS JOIN uids c ON c.id = i.class
        CROSS JOIN uids t ON t.id = i.transfer_syntax LEFT JOIN folders f ON f.id = i.link_folder
     WHERE se.instances > 0"
);

/// The narrowest list drives; the others are looked up for each of its rows.
pub(super) fn statement(selection: &Selection, limit: usize) -> (String, Vec<Value>) {
    let Selection { patient_id, studies, series, instances } = selection;
    let from = if !instances.is_empty() {
        concat!(
            "json_each(?4) j CROSS JOIN instances i ON i.id IN (",
            shown_as!("j.value"),
            ") CROSS JOIN series se ON se.id = i.series CROSS JOIN studies st ON st.id = se.study"
        )
    } else if !series.is_empty() {
        "json_each(?3) j CROSS JOIN series se ON se.uid = j.value CROSS JOIN studies st ON st.id = se.study
            CROSS JOIN instances i ON i.series = se.id"
    } else if !studies.is_empty() {
        "json_each(?2) j CROSS JOIN studies st ON st.uid = j.value CROSS JOIN series se ON se.study = st.id
            CROSS JOIN instances i ON i.series = se.id"
    } else {
        "patients pa CROSS JOIN studies st ON st.patient = pa.id CROSS JOIN series se ON se.study = st.id
            CROSS JOIN instances i ON i.series = se.id"
    };
    let by_patient = instances.is_empty() && series.is_empty() && studies.is_empty();
    let patient = match (by_patient, patient_id) {
        (true, _) => "pa.patient_id = ?1",
        (false, Some(_)) => "EXISTS (SELECT 1 FROM patients p WHERE p.id = st.patient AND p.patient_id = ?1)",
        (false, None) => "?1 IS NULL",
    };
    let shown = shown_uid!();
    let sql = format!(
        "SELECT i.id, i.class, i.transfer_syntax FROM {from} WHERE {patient}
            AND (?2 = '[]' OR st.uid IN (SELECT value FROM json_each(?2)))
            AND (?3 = '[]' OR se.uid IN (SELECT value FROM json_each(?3)))
            AND (?4 = '[]' OR {shown} IN (SELECT value FROM json_each(?4)))
            AND se.instances > 0
        ORDER BY st.study_date DESC, st.study_time DESC, st.uid,
            CAST(se.number AS INTEGER), se.uid, CAST(i.number AS INTEGER), i.uid
        LIMIT ?5"
    );
    // Once each: a UID that is named twice is still one.
    let list = |uids: BTreeSet<&str>| Value::Text(serde_json::Value::from_iter(uids).to_string());
    let parameters = vec![
        patient_id.clone().map_or(Value::Null, Value::Text),
        list(studies.iter().map(|uid| uid.as_str()).collect()),
        list(series.iter().map(|uid| uid.as_str()).collect()),
        list(instances.iter().map(|uid| uid.as_str()).collect()),
        Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)),
    ];
    (sql, parameters)
}
