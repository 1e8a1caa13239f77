//! What the journal of the storage folder is told of an operation, before it is flipped on.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{CorrectionKind, CorrectionMode, CorrectionState, Role, told};
use crate::catalog::codes::now;
use crate::catalog::{Catalog, CatalogError};
use crate::dataset::Header;
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;
use crate::store::{CorrectedText, CorrectionLine, CorrectionText, Digest, JournalEntry, StudyMark, pieces, to_text};

/// The most that the objects of one line may take, as far as their lengths tell.
const LONGEST: usize = 256 * 1024;

/// The line that says what has become of the operation of a key.
pub fn became(key: &str, state: CorrectionState, by: &str) -> JournalEntry {
    let state = match state {
        CorrectionState::Staged => "dropped".to_owned(),
        state => state.word().to_owned(),
    };
    let line = CorrectionLine::Became { state, at: now(), by: by.to_owned() };
    JournalEntry::Correction { key: key.to_owned(), line }
}

/// The line that says what a person has set on a study, or taken away, just now.
pub fn marked(study: &StudyInstanceUid, mark: StudyMark, by: &str, reason: &str) -> JournalEntry {
    let (study, by, reason) = (study.to_string(), by.to_owned(), reason.to_owned());
    JournalEntry::Study { study, mark, by, reason, at: now() }
}

impl Catalog {
    /// All that has to be durable in the journal before an operation is flipped on, but for the line that says that it
    /// is. Before the documents that the operation writes are filed, too.
    pub async fn correction_entries(&self, id: i64) -> Result<Vec<JournalEntry>, CatalogError> {
        let lines = self.read(move |c| lines(c, id)).await?;
        let Some((key, lines)) = lines else { return Err(super::CorrectionError::Unknown(id).into()) };
        Ok(lines.into_iter().map(|line| JournalEntry::Correction { key: key.clone(), line }).collect())
    }
}

fn lines(c: &Connection, id: i64) -> Result<Option<(String, Vec<CorrectionLine>)>, DbError> {
    let begun = |row: &Row<'_>| {
        let text = CorrectionText {
            number: Some(id),
            operation: row.get::<_, CorrectionKind>(1)?.word().to_owned(),
            mode: row.get::<_, CorrectionMode>(2)?.word().to_owned(),
            operator: row.get(3)?,
            reason: row.get(4)?,
            reason_text: row.get(5)?,
            source: row.get(6)?,
            destination: row.get(7)?,
            describes: told::of_header(&described(row, 10)?),
        };
        Ok((row.get::<_, String>(0)?, text, row.get::<_, Vec<u8>>(8)?, row.get::<_, String>(9)?))
    };
    let found = c.prepare_cached(BEGUN)?.query_row([id], begun).optional()?;
    let Some((key, text, amendment, sheet)) = found else { return Ok(None) };
    let mut lines = vec![CorrectionLine::Begun(Box::new(text))];
    lines.extend(pieces(&to_text(&amendment)).map(CorrectionLine::Amendment));
    lines.extend(pieces(&sheet).map(CorrectionLine::Sheet));
    let (mut objects, mut length) = (Vec::new(), 0);
    let mut statement = c.prepare_cached(OBJECTS)?;
    let mut rows = statement.query(params![id])?;
    while let Some(row) = rows.next()? {
        let object = object(row)?;
        length += 200 + object.patch.as_ref().map_or(0, String::len);
        objects.push(object);
        if length > LONGEST {
            lines.push(CorrectionLine::Objects(std::mem::take(&mut objects)));
            length = 0;
        }
    }
    let discarded = |row: &Row<'_>| {
        let uid: String = row.get(0)?;
        Ok(CorrectedText {
            instance: uid.clone(),
            from: (row.get(2)?, row.get(3)?),
            quarantined: Some((Digest::from_bytes(row.get(1)?).to_string(), uid)),
            ..CorrectedText::default()
        })
    };
    for object in c.prepare_cached(DISCARDED)?.query_map([id], discarded)? {
        objects.push(object?);
    }
    if !objects.is_empty() {
        lines.push(CorrectionLine::Objects(objects));
    }
    Ok(Some((key, lines)))
}

/// Whom and what a study is about, from the columns that begin at `at`.
fn described(row: &Row<'_>, at: usize) -> rusqlite::Result<Header> {
    Ok(Header {
        patient_id: row.get(at)?,
        issuer_of_patient_id: row.get(at + 1)?,
        patient_name: row.get(at + 2)?,
        patient_birth_date: row.get(at + 3)?,
        patient_sex: row.get(at + 4)?,
        study_date: row.get(at + 5)?,
        study_time: row.get(at + 6)?,
        study_id: row.get(at + 7)?,
        accession_number: row.get(at + 8)?,
        study_description: row.get(at + 9)?,
        referring_physician_name: row.get(at + 10)?,
        ..Header::default()
    })
}

fn object(row: &Row<'_>) -> rusqlite::Result<CorrectedText> {
    let role: Role = row.get(1)?;
    let quarantined: Option<(String, [u8; 32])> = match row.get(7)? {
        Some(uid) => Some((uid, row.get(8)?)),
        None => None,
    };
    let describes = match &quarantined {
        Some(_) => {
            let header = Header {
                modality: row.get(9)?,
                series_number: row.get(10)?,
                series_description: row.get(11)?,
                series_date: row.get(12)?,
                series_time: row.get(13)?,
                body_part: row.get(14)?,
                instance_number: row.get(15)?,
                rows: row.get(16)?,
                columns: row.get(17)?,
                number_of_frames: row.get(18)?,
                ..Header::default()
            };
            told::of_header(&header)
        }
        None => Vec::new(),
    };
    Ok(CorrectedText {
        instance: row.get(0)?,
        role: role.word().to_owned(),
        from: (row.get(2)?, row.get(3)?),
        series: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
        uid: row.get(5)?,
        patch: row.get::<_, Option<Vec<u8>>>(6)?.map(|patch| to_text(&patch)),
        quarantined: quarantined.map(|(uid, digest)| (Digest::from_bytes(digest).to_string(), uid)),
        describes,
    })
}

const BEGUN: &str =
    "SELECT co.key, co.kind, co.mode, co.operator, co.reason, co.reason_text, so.uid, de.uid, co.amendment,
        co.sheet, p.patient_id, p.issuer, p.name, p.birth_date, p.sex, de.study_date, de.study_time, de.study_id,
        de.accession_number, de.description, de.referring_physician
    FROM corrections co CROSS JOIN studies so ON so.id = co.source CROSS JOIN studies de ON de.id = co.destination
        LEFT JOIN patients p ON p.id = de.patient WHERE co.id = ?1";
const OBJECTS: &str = "SELECT coalesce(i.uid, a.uid), ci.role, so.uid, sn.uid, dn.uid, ci.new_uid, ci.patch,
        q.uid, q.digest, dn.modality, dn.number, dn.description, dn.series_date, dn.series_time, dn.body_part, i.number,
        i.rows, i.columns, i.frames
    FROM correction_instances ci
        LEFT JOIN instances i ON i.id = ci.instance LEFT JOIN awaited a ON a.id = -ci.instance
        CROSS JOIN series sn ON sn.id = ci.old_series CROSS JOIN studies so ON so.id = sn.study
        LEFT JOIN series dn ON dn.id = ci.new_series
        LEFT JOIN quarantine q ON ci.role = 3 AND q.place = i.place
    WHERE ci.correction = ?1 ORDER BY ci.instance";
const DISCARDED: &str = "SELECT q.uid, q.digest, st.uid, q.series_uid
    FROM quarantine q CROSS JOIN studies st ON st.id = q.study
    WHERE q.correction = ?1 AND NOT EXISTS (SELECT 1 FROM correction_instances ci CROSS JOIN instances i ON i.id = ci.instance
        WHERE ci.correction = ?1 AND ci.role = 3 AND i.place = q.place) ORDER BY q.id";
