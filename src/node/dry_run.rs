//! What a migration would bring, listed into a catalog that is thrown away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{NodeError, process_name};
use crate::catalog::{Catalog, FileState, FolderState, JobKind, JobSpec, ListedStudy};
use crate::config::Config;
use crate::import::shown;
use crate::intake::Intake;
use crate::job::{Engine, Keeper};
use crate::scp::Gates;

/// Folders of an import that are asked for at once.
const FOLDERS: usize = 256;
/// Files and folders of an import that are told by name.
const TOLD: usize = 100;
/// States of files of which an object may be missing.
const TROUBLED: [FileState; 4] = [FileState::Faulty, FileState::Unreadable, FileState::Refused, FileState::Young];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DryRun {
    /// Studies.
    pub studies: u64,
    /// Objects, in the studies whose number the source tells; `None` when it tells none.
    pub objects: Option<u64>,
    /// Studies of which the source does not tell the number of objects.
    pub studies_without_count: u64,
    /// Studies by year, the latest first; "none" for those without a date.
    pub by_year: Vec<(String, u64)>,
    /// What could not be enumerated, and why.
    pub not_enumerated: Vec<String>,
}

/// A catalog of its own, removed with everything beside it when it goes.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot remove the scratch catalog");
        }
    }
}

/// Enumerates a job without making it. The source's limits hold as for a migration, together with whatever else runs.
pub async fn dry_run(config: &Config, spec: &JobSpec, cancel: CancellationToken) -> Result<DryRun, NodeError> {
    let node = super::open(config.clone()).await?;
    let folder = std::env::temp_dir().join(format!("pacsferry-dry-run-{}", process_name()));
    let path = folder.join("catalog.db");
    std::fs::create_dir_all(&folder).map_err(|source| NodeError::Scratch { folder: folder.clone(), source })?;
    let _scratch = Scratch(folder);
    let catalog = Catalog::open(&path).map_err(|source| NodeError::Catalog { path, source })?;
    let owner = process_name();
    let keeper = Keeper::new(node.catalog.clone(), &owner)?;
    let (_sender, watched) = watch::channel(Arc::new(config.clone()));
    let engine = Engine {
        config: watched,
        catalog: catalog.clone(),
        intake: Intake::start(node.store.clone(), catalog.clone(), owner.clone())?,
        store: node.store.clone(),
        gates: Gates::default(),
        keeper: keeper.clone(),
        tasks: TaskTracker::new(),
    };
    let stop = cancel.child_token();
    let keeping = engine.tasks.spawn({
        let stop = stop.clone();
        async move { keeper.run(stop).await }
    });
    let job = catalog.create_job(spec).await?;
    let id = job.id;
    let listed = engine.enumerate(job, &stop).await;
    stop.cancel();
    node.catalog.release_owner(&owner).await?;
    let found = summarise(&catalog, id, spec).await;
    engine.intake.close().await?;
    drop(keeping.await);
    listed?;
    found
}

async fn summarise(catalog: &Catalog, job: i64, spec: &JobSpec) -> Result<DryRun, NodeError> {
    let mut found = DryRun::default();
    let mut years: BTreeMap<Option<i16>, u64> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = catalog.items(job, &[], after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.order_key());
        for item in &page {
            // A study that was asked for by its UID, and not found, is an item without anything else.
            if spec.studies.contains(&item.study.study_uid)
                && item.study == ListedStudy::of(item.study.study_uid.clone())
            {
                found.not_enumerated.push(format!("the source does not list the study {}", item.study.study_uid));
                continue;
            }
            found.studies += 1;
            let told = item.study.instances.or((spec.kind == JobKind::Import).then_some(item.counts.listed));
            match told {
                Some(n) => *found.objects.get_or_insert(0) += u64::from(n),
                None => found.studies_without_count += 1,
            }
            *years.entry(item.study.study_date.map(|date| date.year())).or_default() += 1;
        }
    }
    let name = |year: Option<i16>| year.map_or("none".to_owned(), |year| year.to_string());
    found.by_year = years.into_iter().rev().map(|(year, n)| (name(year), n)).collect();
    let notes = catalog.notes(job).await?;
    found.not_enumerated.extend(notes.into_iter().map(|note| format!("{}: {}", note.kind, note.text)));
    if spec.kind == JobKind::Import {
        add_troubles(catalog, job, &mut found).await?;
    }
    Ok(found)
}

/// The files and folders of an import of which an object may be missing.
async fn add_troubles(catalog: &Catalog, job: i64, found: &mut DryRun) -> Result<(), NodeError> {
    let mut after: Option<PathBuf> = None;
    let mut untold = 0;
    loop {
        let page = catalog.import_folders(job, after.as_deref(), FOLDERS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.path.clone());
        for folder in &page {
            if folder.state == FolderState::Unreadable {
                tell(found, &mut untold, || format!("{}: {}", shown(&folder.path), folder.detail));
            }
            let troubled: u64 = TROUBLED.iter().map(|state| folder.count(*state)).sum();
            let files = if troubled > 0 { catalog.troubled_files(job, folder.id, TOLD).await? } else { Vec::new() };
            for file in &files {
                let mut path = shown(&folder.path.join(&file.key.name));
                if !file.key.member.is_empty() {
                    path = format!("{path}: {}", String::from_utf8_lossy(&file.key.member));
                }
                tell(found, &mut untold, || format!("{path}: {}", file.detail));
            }
            untold += troubled.saturating_sub(files.len() as u64);
        }
    }
    if untold > 0 {
        found.not_enumerated.push(format!("and {untold} more files and folders; the report of the import names them"));
    }
    Ok(())
}

fn tell(found: &mut DryRun, untold: &mut u64, what: impl FnOnce() -> String) {
    if found.not_enumerated.len() < TOLD { found.not_enumerated.push(what()) } else { *untold += 1 }
}
