//! Studies that are listed and not filed yet, where `[node] union` shows them: whoever asks for one has it fetched first,
//! as by C-MOVE. Who asks by HTTP waits for it only a little, and is then told to ask again: meanwhile it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use super::answer::Problem;
use super::find::Target;
use super::{Caller, Site};
use crate::catalog::{ItemState, Recalled, Selection};

/// Requests that wait at one time, each for one study: as fast as these are fetched may others be asked for.
pub(super) const WAITING: usize = 16;
/// How long one waits.
const WAIT: Duration = Duration::from_secs(15);
/// How often it is looked whether it has come.
const LOOK: Duration = Duration::from_millis(100);

impl Target {
    /// The study, if something of it is listed and not filed.
    async fn unfiled(&self, site: &Site) -> Result<Option<Selection>, Problem> {
        let union = site.config.borrow().node.union;
        let Some(selection) = self.selection().filter(|_| union) else { return Ok(None) };
        // Only the study counts: a source is asked for studies.
        let selection = Selection { studies: selection.studies, ..Selection::default() };
        let items = site.catalog.unfiled(&selection).await?;
        Ok((!items.is_empty()).then_some(selection))
    }

    /// Whether something of the study is still to come.
    pub(super) async fn is_partly_here(&self, site: &Site) -> Result<bool, Problem> {
        Ok(self.unfiled(site).await?.is_some())
    }

    /// Has the study fetched that this is in, if it is not here as a whole. Why something of it is missing and will not
    /// come for now; `None` where all is here that there is.
    pub(super) async fn fetch(&self, site: &Site, caller: &Caller) -> Result<Option<String>, Problem> {
        let Some(selection) = self.unfiled(site).await? else { return Ok(None) };
        let Ok(_waiting) = Arc::clone(&site.waiting).try_acquire_owned() else {
            return Err(later("a study is not here yet, and others are being fetched"));
        };
        let items = site.catalog.recall(&selection, &format!("web:{}", caller.operator.name)).await?;
        let begun = Instant::now();
        loop {
            let mut standing = site.catalog.recalled(&items).await?;
            standing.retain(|item| item.state != ItemState::Proven);
            let Some(first) = standing.first() else { return Ok(None) };
            if !standing.iter().any(|item| item.hindrance().is_none() && item.is_coming()) {
                return Ok(Some(missing(first)));
            }
            if begun.elapsed() >= WAIT {
                let listed = first.instances.map_or(String::new(), |count| format!(" of {count}"));
                let arrived = first.arrived;
                return Err(later(format!(
                    "the study is being fetched from {}: {arrived}{listed} objects are here",
                    first.source
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What there is, is not here; asked again, it may be.
pub(super) fn later(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why, "ask again in a while")
}

/// The same of what nobody works on: the hours, the operator or the source are in the way.
pub(super) fn not_now(why: String) -> Problem {
    later(why).after(60)
}

fn missing(item: &Recalled) -> String {
    let why = item.hindrance().unwrap_or_else(|| match item.detail.as_str() {
        "" => item.state.as_text().to_owned(),
        detail => detail.to_owned(),
    });
    format!("the study is still on {}: {why}", item.source)
}
