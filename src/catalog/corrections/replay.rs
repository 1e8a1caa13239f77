//! Operations done again in a catalog that is made anew, as the journal tells them, in their order.

use rusqlite::{OptionalExtension, Transaction, params};

use super::flip::{Way, switch};
use super::stage::{Adding, begin};
use super::{CorrectionKind, CorrectionMode, CorrectionState, NewCorrection, NewFiled, Role, quarantined, told};
use crate::catalog::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use crate::store::{CorrectedText, CorrectionLine, CorrectionText, Digest, from_text};

/// An operation as the journal has told it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldCorrection {
    /// Its name.
    pub key: String,
    /// What it is.
    pub text: CorrectionText,
    /// Its amendment, in Base64.
    pub amendment: String,
    /// Its sheet.
    pub sheet: String,
    /// Its objects.
    pub objects: Vec<CorrectedText>,
}

impl ToldCorrection {
    /// The next line of it.
    pub fn hear(&mut self, line: CorrectionLine) {
        match line {
            CorrectionLine::Begun(text) => self.text = *text,
            CorrectionLine::Amendment(piece) => self.amendment.push_str(&piece),
            CorrectionLine::Sheet(piece) => self.sheet.push_str(&piece),
            CorrectionLine::Objects(objects) => self.objects.extend(objects),
            CorrectionLine::Became { .. } => {}
        }
    }
}

impl Catalog {
    /// Does an operation again. Objects that are not here are awaited. Blocking; one transaction.
    pub fn replay_correction(&self, told: ToldCorrection, at: i64) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| replay(tx, &told, at))?)
    }

    /// Undoes one again. Blocking.
    pub fn replay_undo(&self, key: &str, at: i64, by: &str) -> Result<(), CatalogError> {
        let (key, by) = (key.to_owned(), by.to_owned());
        Ok(self.db.write_blocking(move |tx| {
            let sql = "SELECT id FROM corrections WHERE key = ?1 AND state = 1";
            let id: Option<i64> = tx.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
            let Some(id) = id else { return Ok(()) };
            switch(tx, id, Way::Off)?;
            quarantined::give_back(tx, id)?;
            tx.prepare_cached("UPDATE corrections SET state = ?2, undone_at = ?3, undone_by = ?4 WHERE id = ?1")?
                .execute(params![id, CorrectionState::Undone, at, by])?;
            Ok(())
        })?)
    }

    /// Hides what an operation had written that was never flipped on. Blocking.
    pub fn replay_dropped(&self, told: &ToldCorrection) -> Result<(), CatalogError> {
        let written = told.objects.iter().filter(|object| Role::parse(&object.role) == Some(Role::Written));
        let uids: Vec<String> = written.map(|object| object.instance.clone()).collect();
        Ok(self.db.write_blocking(move |tx| {
            let mut adding = Adding::hidden(tx)?;
            for uid in &uids {
                adding.rewritten(uid)?;
            }
            Ok(())
        })?)
    }
}

fn replay(tx: &Transaction<'_>, told: &ToldCorrection, at: i64) -> Result<(), DbError> {
    let known = tx.prepare_cached("SELECT 1 FROM corrections WHERE key = ?1")?.exists([&told.key])?;
    if known {
        return Ok(());
    }
    let CorrectionText { number, operation, mode, operator, reason, reason_text, source, destination, describes } =
        &told.text;
    let new = NewCorrection {
        key: Some(told.key.clone()),
        kind: CorrectionKind::parse(operation).unwrap_or(CorrectionKind::Reallocate),
        mode: CorrectionMode::parse(mode).unwrap_or(CorrectionMode::Local),
        operator: operator.clone(),
        reason: reason.clone(),
        reason_text: reason_text.clone(),
        source: StudyInstanceUid::new(source),
        destination: StudyInstanceUid::new(destination),
        describes: Some(Box::new(told::header(describes))),
        amendment: from_text(&told.amendment).unwrap_or_default(),
        sheet: told.sheet.clone(),
        process: String::new(),
    };
    super::stage::find_or_make_study(tx, &new.source)?;
    let Ok(staged) = begin(tx, &new, *number)? else { return Ok(()) };
    let mut adding = Adding::of(tx, staged.id)?;
    for object in &told.objects {
        adding.again(object)?;
    }
    switch(tx, staged.id, Way::On)?;
    tx.prepare_cached("UPDATE corrections SET state = ?2, at = ?3 WHERE id = ?1")?.execute(params![
        staged.id,
        CorrectionState::Active,
        at
    ])?;
    Ok(())
}

impl Adding<'_> {
    /// An object that the journal names.
    fn again(&mut self, object: &CorrectedText) -> Result<(), DbError> {
        let patch = object.patch.as_deref().and_then(from_text);
        if let Some((digest, uid)) = &object.quarantined {
            let digest = Digest::parse(digest);
            let found = digest.map(|digest| quarantined::find(self.tx, digest.as_bytes(), uid)).transpose()?.flatten();
            let Some(found) = found else { return Ok(()) };
            if object.series.is_empty() {
                self.discarded(found)?;
                return Ok(());
            }
            let filed = NewFiled {
                quarantined: found,
                series: SeriesInstanceUid::new(&object.series),
                instance: SopInstanceUid::new(&object.instance),
                header: Box::new(told::header(&object.describes)),
                patch,
            };
            self.filed(&filed)?;
            return Ok(());
        }
        let sql = "SELECT id FROM instances WHERE uid = ?1";
        let here: Option<i64> =
            self.tx.prepare_cached(sql)?.query_row([&object.instance], |row| row.get(0)).optional()?;
        let role = Role::parse(&object.role).unwrap_or(Role::Moved);
        let to = (role == Role::Moved).then(|| SeriesInstanceUid::new(&object.series));
        match (role, here) {
            (Role::Written, _) => {
                let hidden = self.series_of(self.hidden, "", None)?;
                match self.rewritten(&object.instance)? {
                    Some((instance, proper)) => {
                        self.put(instance, role, hidden, Some(proper), None, None, None)?;
                    }
                    None => {
                        self.written(&object.instance)?;
                    }
                }
            }
            (_, Some(instance)) => {
                self.shown(instance, to.as_ref(), role, object.uid.as_deref(), patch.as_deref())?;
            }
            (_, None) => self.missing(object, to.as_ref(), role, patch.as_deref())?,
        }
        Ok(())
    }

    /// An object that an operation had written, and that is here, is hidden; its number and the series that it names.
    fn rewritten(&mut self, uid: &str) -> Result<Option<(i64, i64)>, DbError> {
        let sql = "SELECT id FROM instances WHERE uid = ?1 AND home IS NULL";
        let here: Option<i64> = self.tx.prepare_cached(sql)?.query_row([uid], |row| row.get(0)).optional()?;
        let hidden = self.series_of(self.hidden, "", None)?;
        here.map(|instance| Ok((instance, quarantined::hide(self.tx, instance, hidden)?))).transpose()
    }

    /// An object that is not here goes where it was when it comes.
    fn missing(
        &mut self,
        object: &CorrectedText,
        to: Option<&SeriesInstanceUid>,
        role: Role,
        patch: Option<&[u8]>,
    ) -> Result<(), DbError> {
        let study = super::stage::find_or_make_study(self.tx, &StudyInstanceUid::new(&object.from.0))?;
        let from = self.series_of(study, &object.from.1, None)?;
        self.tx
            .prepare_cached("INSERT INTO awaited (uid, series, home) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![object.instance, from])?;
        let (awaited, previous): (i64, Option<i64>) = self
            .tx
            .prepare_cached("SELECT id, correction FROM awaited WHERE uid = ?1")?
            .query_row([&object.instance], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let series = self.series(from, to)?;
        self.put(-awaited, role, from, Some(series), object.uid.as_deref(), previous, patch)
    }
}
