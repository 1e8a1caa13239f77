//! What studies are beside what their objects say: locked, in quarantine, rejected, corrected; in words, and to look for.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde_json::{Value, json};

use super::{COLUMNS, Filter, Found, MORE, PAGE, PATIENCE, keywords};
use crate::catalog::{CatalogError, ErrandState, Standing, StudyLock, StudyState};
use crate::job::report::{local_time, timestamp};
use crate::web::Web;
use crate::web::study;

/// So many studies of one standing are looked through, the latest.
const MOST: usize = 10_000;
/// So many of those that queries do not show stand at the top of everything.
const TOP: usize = 200;

/// What a study can be asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct State(Standing);

/// The words that say it, in an address and for people.
pub(super) const STATES: [(&str, &str, Standing); 5] = [
    ("locked", "locked", Standing::Locked),
    ("quarantined", "in quarantine", Standing::Quarantined),
    ("rejected", "rejected", Standing::Rejected),
    ("corrected", "corrected", Standing::Corrected),
    ("rescan-failed", "rescan failed", Standing::RescanFailed),
];

/// What stands beside a study.
#[derive(Default)]
pub(super) struct Beside {
    state: Option<StudyState>,
    lock: Option<StudyLock>,
    /// A source lists more of it than is filed, or all of it.
    awaited: Option<Awaited>,
}

/// How much of a study is not filed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    All,
    Rest,
}

impl State {
    pub(super) fn parse(word: &str) -> Option<State> {
        STATES.iter().find(|(known, ..)| *known == word).map(|(.., standing)| State(*standing))
    }
}

/// A page of studies that are so. Where it goes on is a number among them.
pub(super) async fn look(web: &Web, filter: &Filter, State(standing): State) -> Result<Found, CatalogError> {
    let begun = Instant::now();
    let all = web.catalog.studies_standing(standing, MOST).await?;
    let mut at = filter.after.parse::<usize>().unwrap_or(0).min(all.len());
    let mut found = Found::default();
    while at < all.len() && found.rows.len() < PAGE && !found.later {
        // As many as still have room, so that none is passed over.
        let chunk: Vec<String> = all.iter().skip(at).take(PAGE - found.rows.len()).cloned().collect();
        at += chunk.len();
        found.rows.extend(of(web, filter, &chunk, filter.scope == super::Scope::Admin).await?);
        found.later = begun.elapsed() > PATIENCE;
    }
    found.next = (at < all.len()).then(|| at.to_string());
    found.later &= found.next.is_some();
    Ok(found)
}

/// What queries do not show, since all of it is in quarantine or was rejected.
pub(super) async fn unshown(web: &Web, filter: &Filter) -> Result<Vec<Vec<String>>, CatalogError> {
    let mut uids = web.catalog.studies_standing(Standing::Quarantined, TOP).await?;
    uids.extend(web.catalog.studies_standing(Standing::Corrected, TOP).await?);
    uids.sort_unstable();
    uids.dedup();
    hidden(web, filter, &uids).await
}

/// Those of these studies that the filter lets through, in their order.
async fn of(web: &Web, filter: &Filter, uids: &[String], all: bool) -> Result<Vec<Vec<String>>, CatalogError> {
    let mut rows = Vec::new();
    // A UID that queries would read as several is told of only where it is not shown.
    let asked: Vec<&str> = uids.iter().map(String::as_str).filter(|uid| study::literal(uid)).collect();
    if !asked.is_empty() && (filter.study.is_empty() || asked.contains(&filter.study.trim())) {
        let asked = if filter.study.is_empty() { asked.join("\\") } else { filter.study.trim().to_owned() };
        let query = std::sync::Arc::new(filter.query(Some(&asked))?);
        let mut from = None;
        loop {
            let page = web.catalog.search(&query, from, PAGE).await?;
            rows.extend(page.rows.into_iter().map(|found| found.values));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    if all {
        rows.extend(hidden(web, filter, uids).await?);
    }
    let place: HashMap<&str, usize> = uids.iter().enumerate().map(|(at, uid)| (uid.as_str(), at)).collect();
    rows.sort_by_key(|row| place.get(uid_of(row)).copied());
    Ok(rows)
}

/// Those of these studies that queries do not show.
async fn hidden(web: &Web, filter: &Filter, uids: &[String]) -> Result<Vec<Vec<String>>, CatalogError> {
    // Nobody can say any more who brought what is not filed.
    if !filter.source.is_empty() {
        return Ok(Vec::new());
    }
    let query = filter.query(None)?;
    let known = web.catalog.unshown_studies(uids).await?;
    let rows = known.into_iter().map(|values| {
        let value = |keyword: &str| values.iter().find(|(known, _)| *known == keyword).map(|(_, value)| value.clone());
        let value = |keyword: &str| value(keyword).unwrap_or_default();
        (query.admits(value), keywords().map(value).collect::<Vec<_>>())
    });
    Ok(rows.filter(|(fits, _)| *fits).map(|(_, row)| row).collect())
}

pub(super) fn uid_of(row: &[String]) -> &str {
    debug_assert_eq!(MORE.first(), Some(&"StudyInstanceUID"));
    row.get(COLUMNS.len()).map_or("", String::as_str)
}

/// What stands beside the studies of a page, by their UIDs.
pub(super) async fn beside(web: &Web, rows: &[Vec<String>]) -> Result<HashMap<String, Beside>, CatalogError> {
    let uids: Vec<String> = rows.iter().map(|row| uid_of(row).to_owned()).collect();
    let mut found: HashMap<String, Beside> = HashMap::new();
    for state in web.catalog.study_states(&uids).await? {
        let uid = state.study.to_string();
        found.entry(uid).or_default().state = Some(state);
    }
    for lock in web.catalog.study_locks().await? {
        if let Some(beside) = found.get_mut(lock.study.as_str()) {
            beside.lock = Some(lock);
        }
    }
    Ok(found)
}

impl Beside {
    /// The same of a row that a page has.
    pub(super) fn with_rest(mut self, found: &HashSet<String>, row: &[String]) -> Beside {
        if found.contains(uid_of(row)) {
            // Of what is only listed nobody knows the series.
            let filed = row.get(COLUMNS.len() + 1).is_some_and(|series| !series.is_empty());
            self.awaited = Some(if filed { Awaited::Rest } else { Awaited::All });
        }
        self
    }

    /// Whether something of it is filed.
    pub(super) fn is_filed(&self) -> bool {
        self.awaited != Some(Awaited::All)
    }

    /// Who holds the study.
    pub(super) fn holder(&self) -> Option<&str> {
        self.lock.as_ref().map(|lock| lock.owner.as_str())
    }

    /// Whether queries show it.
    pub(super) fn is_shown(&self) -> bool {
        self.state.as_ref().is_none_or(|state| state.shown)
    }

    /// Where its page is, or the one that tells what became of it.
    pub(super) fn address(&self, uid: &str) -> String {
        let query = |name: &str| form_urlencoded::Serializer::new(String::new()).append_pair(name, uid).finish();
        match &self.state {
            Some(state) if !state.shown && state.quarantined > 0 && uid.is_empty() => "/quarantine".to_owned(),
            Some(state) if !state.shown && state.quarantined > 0 => format!("/quarantine?{}", query("uid")),
            Some(state) if !state.shown => format!("/corrections?{}", query("study")),
            _ => study::address(uid),
        }
    }

    /// In words, each with how much it matters.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        if let Some(lock) = &self.lock {
            words.push(("wait", format!("locked by {} since {}", lock.owner, local_time(lock.since))));
        }
        match self.awaited {
            Some(Awaited::All) => words.push(("wait", "not filed".to_owned())),
            Some(Awaited::Rest) => words.push(("wait", "filed in part".to_owned())),
            None => {}
        }
        words.extend(self.state_words());
        words
    }

    /// The same without its lock.
    pub(super) fn state_words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        let Some(state) = &self.state else { return words };
        if state.quarantined > 0 {
            words.push(("bad", format!("{} in quarantine", state.quarantined)));
        }
        match state.rescan {
            Some(ErrandState::Failed) => words.push(("bad", "rescan failed".to_owned())),
            Some(ErrandState::Waiting) => words.push(("wait", "rescan asked for".to_owned())),
            _ => {}
        }
        for (is, kind, word) in [
            (state.collided, "bad", "UID collision"),
            (state.rejected, "wait", "objects rejected"),
            (state.corrected, "", "corrected"),
            (state.cv_migrated, "", "CV migrated"),
            (!state.shown, "wait", "not shown to queries"),
        ] {
            if is {
                words.push((kind, word.to_owned()));
            }
        }
        words
    }

    /// Who brought it.
    pub(super) fn sources(&self) -> String {
        let sources = self.state.iter().flat_map(|state| &state.sources);
        sources.map(|name| if name.is_empty() { "sent or imported" } else { name }).collect::<Vec<_>>().join(", ")
    }

    /// For programs.
    pub(super) fn told(&self) -> Vec<(&'static str, Value)> {
        let mut told = Vec::new();
        let availability = if self.awaited.is_some() { "NEARLINE" } else { "ONLINE" };
        told.push(("availability", json!(availability)));
        if let Some(lock) = &self.lock {
            told.push(("locked", json!({ "by": lock.owner, "since": timestamp(lock.since), "reason": lock.reason })));
        }
        if let Some(state) = &self.state {
            told.push(("quarantined", json!(state.quarantined)));
            told.push(("rejected", json!(state.rejected)));
            told.push(("corrected", json!(state.corrected)));
            told.push(("shown", json!(state.shown)));
            told.push(("sources", json!(state.sources)));
        }
        told
    }
}
