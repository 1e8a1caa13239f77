//! Linked studies made copies, newest first.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{Node, NodeError, process_name};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dicom::StudyInstanceUid;
use crate::intake::{Adopted, Intake};
use crate::job::verify::{Finding, Kind, Scope};
use crate::scp::charset_of;
use crate::store::StoreError;

/// Studies that are looked for together.
const PAGE: usize = 64;

/// How much was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adoption {
    /// Studies of which something was copied.
    pub studies: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Files that are still links, and were not to be.
    pub findings: u64,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// What is told on the way.
#[derive(Debug)]
pub enum Step {
    /// A study is done; how much was copied until now.
    Study(Adoption),
    /// A file stays a link, or cannot be moved.
    Left(Finding),
}

/// Whoever is told.
pub(super) type Tell<'t> = &'t mut (dyn FnMut(Step) + Send);

/// Copies what is linked of a scope into the storage folder, study by study, newest first. A stop is heeded after the
/// study at hand.
pub async fn adopt(
    config: Config,
    scope: &Scope,
    stop: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Adoption, NodeError> {
    let node = super::open(config).await?;
    run(&node, scope, None, stop, tell).await
}

/// The same for links below a folder only, if there is one.
pub(super) async fn run(
    node: &Node,
    scope: &Scope,
    folder: Option<&Path>,
    stop: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Adoption, NodeError> {
    let intake = start(node).await?;
    let mut pass = Pass { catalog: &node.catalog, intake: &intake, folder, stop, tell, done: Adoption::default() };
    let ran = match scope {
        Scope::Study(study) => pass.study(study).await,
        Scope::Job(job) => pass.job(*job).await,
        Scope::All => pass.everything().await,
    };
    let done = pass.done;
    intake.close().await?;
    ran.map(|()| Adoption { stopped: stop.is_cancelled(), ..done })
}

/// A way in, with what dead processes left swept.
pub(super) async fn start(node: &Node) -> Result<Intake, NodeError> {
    let intake = Intake::start(node.store.clone(), node.catalog.clone(), process_name())?;
    let config = node.config.clone();
    intake.sweep(move |origin| charset_of(&config, origin.source.as_deref())).await?;
    Ok(intake)
}

struct Pass<'p> {
    catalog: &'p Catalog,
    intake: &'p Intake,
    folder: Option<&'p Path>,
    stop: &'p CancellationToken,
    tell: Tell<'p>,
    done: Adoption,
}

impl Pass<'_> {
    async fn everything(&mut self) -> Result<(), NodeError> {
        let mut after = None;
        loop {
            let page = self.catalog.linked_studies(after.as_ref(), PAGE).await?;
            for study in &page {
                self.study(&study.study).await?;
            }
            match page.into_iter().next_back() {
                Some(last) if !self.stop.is_cancelled() => after = Some(last),
                _ => return Ok(()),
            }
        }
    }

    async fn job(&mut self, job: i64) -> Result<(), NodeError> {
        let mut after = None;
        loop {
            let page = self.catalog.items(job, &[], after, PAGE).await?;
            for item in &page {
                self.study(&item.study.study_uid).await?;
            }
            match page.last() {
                Some(last) if !self.stop.is_cancelled() => after = Some(last.order_key()),
                _ => return Ok(()),
            }
        }
    }

    async fn study(&mut self, study: &StudyInstanceUid) -> Result<(), NodeError> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let Adopted { objects, bytes, left } = self.intake.adopt_study(study, self.folder).await?;
        self.done.studies += u64::from(objects > 0);
        self.done.objects += objects;
        self.done.bytes += bytes;
        for (instance, error) in left {
            self.done.findings += 1;
            let (kind, detail) = (kind_of(&error), crate::job::words(&error));
            (self.tell)(Step::Left(Finding { kind, study: Some(study.clone()), instance: Some(instance), detail }));
        }
        if objects > 0 {
            tracing::info!(study.uid = %study, objects, size_bytes = bytes, "copied a linked study");
            (self.tell)(Step::Study(self.done));
        }
        Ok(())
    }
}

pub(super) fn kind_of(error: &StoreError) -> Kind {
    match error {
        StoreError::Missing { .. } => Kind::LinkedFileMissing,
        StoreError::LinkChanged { .. } | StoreError::SourceChanged { .. } => Kind::LinkedFileChanged,
        _ => Kind::UnreadableFile,
    }
}
