//! Asks a source for the series and instances of a study that is not filed, for somebody who waits: over an association
//! of its own, within the limits of the source.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::probe::target_of;
use super::slot::Slot;
use super::words;
use crate::catalog::Catalog;
use crate::config::{Config, Source};
use crate::dataset::Elements;
use crate::dicom::{QueryLevel, Status, tags};
use crate::scp::{Ask, Wanted};
use crate::scu::{Purpose, ScuError, SourceSession};

/// Questions at one time, of all who wait in this process.
const AT_ONCE: usize = 4;
/// The most answers to one.
const MOST_ROWS: usize = 50_000;

/// What asks the sources of the configuration.
pub fn asking(catalog: Catalog, config: watch::Receiver<Arc<Config>>) -> Ask {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    Arc::new(move |wanted| {
        let (catalog, config, turns) = (catalog.clone(), config.borrow().clone(), Arc::clone(&turns));
        Box::pin(async move {
            let source = config.source(&wanted.source).ok_or("it is not in the configuration any more")?;
            let _turn = turns.try_acquire().map_err(|_| "it is being asked too much already; ask again")?;
            let slot = Slot::take(Some(catalog), source).await.map_err(|error| words(&error))?;
            let rows = rows(source, &wanted).await;
            slot.release().await;
            rows
        })
    })
}

async fn rows(source: &Source, wanted: &Wanted) -> Result<Vec<Elements>, String> {
    let in_words = |error: ScuError| words(&error);
    let mut session = SourceSession::open(&target_of(source), Purpose::Query).await.map_err(in_words)?;
    let rows = read(&mut session, source, wanted).await;
    session.release().await;
    rows
}

async fn read(session: &mut SourceSession, source: &Source, wanted: &Wanted) -> Result<Vec<Elements>, String> {
    let in_words = |error: ScuError| words(&error);
    let mut keys = Elements::new();
    for tag in &wanted.tags {
        keys.put(*tag, "");
    }
    keys.put(tags::STUDY_INSTANCE_UID, wanted.study.as_str());
    let level = match &wanted.series {
        Some(series) => {
            keys.put(tags::SERIES_INSTANCE_UID, series.as_str()).put(tags::SOP_INSTANCE_UID, "");
            QueryLevel::Image
        }
        None => {
            keys.put(tags::SERIES_INSTANCE_UID, "");
            QueryLevel::Series
        }
    };
    let cancel = CancellationToken::new();
    let mut find = session.find(level, &keys, source.timeout.find, &cancel).await.map_err(in_words)?;
    let mut rows = Vec::new();
    while let Some(row) = find.next().await.map_err(in_words)? {
        if rows.len() == MOST_ROWS {
            return Err(format!("it answers with more than {MOST_ROWS} at {level} level"));
        }
        // Some ignore the keys that they are asked by.
        let fits = |tag, uid: &str| row.uid(tag).is_none_or(|answered| answered.as_str() == uid);
        let of_series = wanted.series.as_ref().is_none_or(|series| fits(tags::SERIES_INSTANCE_UID, series.as_str()));
        if fits(tags::STUDY_INSTANCE_UID, wanted.study.as_str()) && of_series {
            rows.push(row);
        }
    }
    match find.end() {
        Some(end) if end.status != Status::SUCCESS => Err(format!("it answered {} ", end.status).trim().to_owned()),
        _ => Ok(rows),
    }
}
