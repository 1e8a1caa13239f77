//! One study from the list to its verdict: its files are filed, or set aside with their reasons, and what the catalog
//! then holds is compared with what was listed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::engine::JobError;
use super::super::keeper::Held;
use super::super::kept::name_kept;
use super::super::state::{Event, on};
use super::Work;
use crate::catalog::{
    Evidence, FileKey, FileOutcome, FileState, FilingCounts, ImportHow, Item, ItemUpdate, ListedFile, ListedObject,
    Reason, Recorded,
};
use crate::import::{Candidate, Folder, Sifted, name_shown, unpack, words};
use crate::intake::{How, IntakeError, SourceFile};
use crate::object::{Disposition, Origin};
use crate::scp::charset_of;
use crate::store::StoreError;

/// Files of a study that are read from the list, and on their way, at once.
const PAGE: usize = 64;

/// Works on a claimed study until it is proven, given up, or given back.
pub(super) async fn file(work: &Arc<Work>, item: Item, held: Held) -> Result<(), JobError> {
    let catalog = &work.engine.catalog;
    if item.first_pulled != Some(item.changed) {
        // What could not be read before may be there now.
        catalog.reopen_files(item.id).await?;
    }
    let stop = CancellationToken::new();
    let ended = stop.clone().drop_guard();
    let (all, lost, one) = (work.stop.clone(), held.lost().clone(), stop.clone());
    work.engine.tasks.spawn(async move {
        tokio::select! {
            () = all.cancelled() => one.cancel(),
            () = lost.cancelled() => one.cancel(),
            () = one.cancelled() => {}
        }
    });
    for state in [FileState::Listed, FileState::Faulty] {
        loop {
            let page = catalog.files_of_item(item.id, state, PAGE).await?;
            if page.is_empty() {
                break;
            }
            let filed = take_in(work, page, &stop).await;
            catalog.conclude_files(work.job.id, Some(item.id), filed.outcomes).await?;
            if let Some(error) = filed.failed {
                give_back(work, &item, super::super::words(&error)).await?;
                match error.disposition() {
                    _ if is_full(&error) => work.troubled(super::super::words(&error)),
                    Disposition::Halt => return Err(error.into()),
                    Disposition::Retry | Disposition::GiveUp => work.troubled(super::super::words(&error)),
                }
                return Ok(());
            }
            if stop.is_cancelled() {
                return give_back(work, &item, String::new()).await;
            }
        }
    }
    drop(ended);
    conclude(work, &item, catalog.filing_counts(item.id).await?).await
}

/// A disk that is full is waited for.
fn is_full(error: &IntakeError) -> bool {
    matches!(error, IntakeError::Store(StoreError::Full(_)))
}

/// What became of some files, and what kept the rest from being filed.
#[derive(Default)]
struct TakenIn {
    outcomes: Vec<FileOutcome>,
    failed: Option<IntakeError>,
}

/// Files, or sets aside, all of these at the same time; the intake bounds what is really on its way.
async fn take_in(work: &Arc<Work>, files: Vec<(PathBuf, ListedFile)>, stop: &CancellationToken) -> TakenIn {
    let mut running = JoinSet::new();
    for (folder, file) in files {
        let (work, stop) = (Arc::clone(work), stop.clone());
        running.spawn(async move {
            let cut = stop.cancelled_owned();
            let (key, work) = (file.key.clone(), &*work);
            tokio::select! {
                biased;
                // What is on its way is filed all the same; only nobody waits for it.
                () = cut => (key, None),
                taken = one(work, &folder, file) => (key, Some(taken)),
            }
        });
    }
    let mut all = TakenIn::default();
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((_, Some(Ok(outcome)))) => all.outcomes.push(outcome),
            Ok((_, Some(Err(error)))) => {
                all.failed.get_or_insert(error);
            }
            Ok((_, None)) => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    all
}

/// One file.
async fn one(work: &Work, folder: &Path, file: ListedFile) -> Result<FileOutcome, IntakeError> {
    let ListedFile { key, size, modified, state, reason, detail, object } = file;
    let object = match object {
        Some(object) => object,
        // It was filed, and what was filed is gone: its header is no longer on the list.
        None => match read_again(work, folder.to_owned(), key.clone(), size, modified).await {
            Ok(object) => object,
            Err(why) => return Ok(unreadable(key, why)),
        },
    };
    let instance = object.identity.instance.clone();
    let bytes = object.length.saturating_sub(object.offset);
    let path = folder.join(&key.name);
    let recorded = match object.archived {
        None => {
            let source = source_file(work, path, size, modified, *object);
            match state {
                FileState::Faulty => work.engine.intake.set_aside(source, detail.clone()).await,
                _ => work.engine.intake.file(source, how(work)).await,
            }
        }
        Some(archived) => {
            let mut shown = path.clone().into_os_string();
            shown.push(format!(": {}", name_shown(std::ffi::OsStr::new(&*String::from_utf8_lossy(&key.member)))));
            let length = object.length;
            let source = source_file(work, shown.into(), length, modified, *object);
            let (folder, name) = (folder.to_owned(), key.name.clone());
            let opened = tokio::task::spawn_blocking(move || {
                let (file, look) = Folder::open(&folder)?.file(&name)?;
                if (look.size, look.modified) != (size, modified) {
                    return Ok(None);
                }
                unpack(file, archived, look.size, length).map(Some)
            });
            match opened.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
                Ok(Some(reader)) if state == FileState::Faulty => {
                    work.engine.intake.set_aside_member(source, reader, detail.clone()).await
                }
                Ok(Some(reader)) => work.engine.intake.member(source, reader).await,
                Ok(None) => Err(StoreError::SourceChanged { path }.into()),
                Err(error) => Err(StoreError::SourceUnreadable { path, source: Arc::new(error) }.into()),
            }
        }
    };
    let (state, reason, detail) = match recorded {
        Ok(Recorded::New) => (FileState::Filed, None, String::new()),
        Ok(Recorded::Duplicate) => (FileState::Duplicate, None, String::new()),
        Ok(Recorded::AlreadyMoved) => (FileState::AlreadyMoved, None, String::new()),
        Ok(Recorded::Variant) => (FileState::Variant, None, String::new()),
        Ok(Recorded::Collision) => {
            let what = "another object with its SOP Instance UID is filed; this one is in quarantine";
            (FileState::Collision, Some(Reason::UidCollision), what.into())
        }
        Ok(Recorded::Quarantined(why)) => (FileState::SetAside, Some(reason.unwrap_or(Reason::Quarantined)), why),
        Ok(Recorded::Contested) => return Err(IntakeError::Contested),
        Err(IntakeError::Store(StoreError::SourceChanged { .. })) => {
            let what = "the file changed since it was listed; the next run takes it";
            (FileState::Left, Some(Reason::ShortCount), what.into())
        }
        Err(IntakeError::Store(StoreError::SourceUnreadable { source, .. })) => {
            (FileState::Unreadable, Some(Reason::UnreadableFile), words(&source))
        }
        Err(error) => return Err(error),
    };
    let bytes = if state == FileState::Left || state == FileState::Unreadable { 0 } else { bytes };
    Ok(FileOutcome { key, state, reason, detail, instance, bytes })
}

fn unreadable(key: FileKey, detail: String) -> FileOutcome {
    let instance = crate::dicom::SopInstanceUid::new("");
    FileOutcome { key, state: FileState::Unreadable, reason: Some(Reason::UnreadableFile), detail, instance, bytes: 0 }
}

/// Reads a header once more; an error in words.
async fn read_again(
    work: &Work,
    folder: PathBuf,
    key: FileKey,
    size: u64,
    modified: i64,
) -> Result<Box<ListedObject>, String> {
    if !key.member.is_empty() {
        return Err("the object is gone from the archive; import the folder again to unpack it once more".into());
    }
    let sieve = work.sieve(&work.stop);
    let sifted = tokio::task::spawn_blocking(move || {
        let folder = Arc::new(Folder::open(&folder).map_err(|error| words(&error))?);
        let look = folder.look(&key.name).map_err(|error| words(&error))?;
        if (look.size, look.modified) != (size, modified) {
            return Err("the file changed since it was listed; the next run takes it".to_owned());
        }
        Ok(sieve.sift(&[Candidate { folder, key, look }]))
    });
    let sifted = sifted.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    sifted
        .into_iter()
        .find_map(|sifted| match sifted {
            Sifted::File(row) => row.object,
            Sifted::Archive(..) | Sifted::Outside(_) => None,
        })
        .ok_or_else(|| "the file is no longer what it was".into())
}

fn how(work: &Work) -> How {
    match (work.spec.how, work.spec.hash) {
        (ImportHow::Copy, _) => How::Copy,
        (ImportHow::Own, _) => How::Owned,
        (ImportHow::Link | ImportHow::LinkOnly, true) => How::LinkHashed,
        (ImportHow::Link | ImportHow::LinkOnly, false) => How::Link,
    }
}

fn source_file(work: &Work, path: PathBuf, size: u64, modified: i64, object: ListedObject) -> SourceFile {
    SourceFile {
        path,
        size,
        modified,
        offset: object.offset,
        transfer_syntax: object.transfer_syntax,
        identity: object.identity,
        header: object.header,
        charset: charset_of(&work.engine.config.borrow(), None),
        head_is_sound: object.head_is_sound,
        origin: Origin {
            source: None,
            ae_title: String::new(),
            address: std::net::Ipv4Addr::UNSPECIFIED.into(),
            association: u64::try_from(work.job.id).unwrap_or(0),
        },
    }
}

/// Sets aside what names no study, so that no study has it on its list.
pub(super) async fn set_aside_strays(work: &Work, stop: &CancellationToken) -> Result<(), JobError> {
    let catalog = &work.engine.catalog;
    loop {
        let (list, job) = (catalog.clone(), work.job.id);
        let page = tokio::task::spawn_blocking(move || list.open_files(job, FileState::Faulty, PAGE)).await;
        let page = page.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        if page.is_empty() || stop.is_cancelled() {
            return Ok(());
        }
        let mut outcomes = Vec::with_capacity(page.len());
        for (folder, file) in page {
            match one(work, &folder, file).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) if is_full(&error) || error.disposition() != Disposition::Halt => {
                    work.troubled(super::super::words(&error));
                    work.sleep(super::PAUSE).await;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        catalog.conclude_files(work.job.id, None, outcomes).await?;
    }
}

/// Writes the end of a study whose files have all come to theirs.
async fn conclude(work: &Work, item: &Item, counts: FilingCounts) -> Result<(), JobError> {
    let proven = counts.filed == counts.listed;
    let event = if proven { Event::Proven } else { Event::GivenUp(counts.filed > 0) };
    let mut update = ItemUpdate::to(on(item.state, event)?, item.attempt + 1);
    update.listed = u32::try_from(counts.listed).ok();
    update.filed = u32::try_from(counts.filed).ok();
    if proven {
        update.evidence = Some(Evidence::Instances);
    } else {
        let (reason, detail) = blame(&counts);
        let aside = counts.collision + counts.set_aside > 0;
        let kept =
            if aside { name_kept(&work.engine.catalog, &item.study.study_uid, |_| true).await? } else { String::new() };
        update.reason = Some(reason);
        update.detail = detail + &kept;
    }
    info!(state = update.state.as_text(), listed = counts.listed, filed = counts.filed, "study concluded");
    write(work, item, update).await
}

/// The reason that a person should look at first, and all of them in words.
fn blame(counts: &FilingCounts) -> (Reason, String) {
    let lost = counts.listed - counts.filed - counts.collision - counts.set_aside - counts.left - counts.unreadable;
    let causes = [
        (
            counts.collision,
            Reason::UidCollision,
            ("has the UID of another object that is filed", "have the UID of another object that is filed"),
        ),
        (counts.set_aside, Reason::Quarantined, ("is in quarantine", "are in quarantine")),
        (counts.unreadable, Reason::UnreadableFile, ("could not be read", "could not be read")),
        (
            counts.left,
            Reason::ShortCount,
            ("changed and is left for the next run", "changed and are left for the next run"),
        ),
        (lost, Reason::ShortCount, ("is not in the catalog", "are not in the catalog")),
    ];
    let there: Vec<_> = causes.iter().filter(|(files, ..)| *files > 0).collect();
    let words: Vec<String> = there
        .iter()
        .map(
            |(files, _, (one, many))| {
                if *files == 1 { format!("1 file {one}") } else { format!("{files} files {many}") }
            },
        )
        .collect();
    (there.first().map_or(Reason::ShortCount, |(_, reason, _)| *reason), words.join("; "))
}

/// Gives a study back without counting an attempt.
async fn give_back(work: &Work, item: &Item, detail: String) -> Result<(), JobError> {
    let mut update = ItemUpdate::to(on(item.state, Event::PutBack)?, item.attempt);
    update.release = true;
    update.due = Some(super::super::now());
    update.detail = detail;
    write(work, item, update).await
}

async fn write(work: &Work, item: &Item, update: ItemUpdate) -> Result<(), JobError> {
    if !work.engine.catalog.update_item(item.id, item.fence, update).await? {
        warn!(study.uid = %item.study.study_uid, "the lease on a study was lost; whoever holds it now goes on");
    }
    Ok(())
}
