//! Locks that people set: nobody else changes the study until they take them away.

use super::{Content, ContentError, Refusal, Why, refusal, told};
use crate::audit::{AuditOutcome, CorrectionAction};
use crate::catalog::{StudyLock, marked};
use crate::config::{Operator, Privilege};
use crate::dicom::StudyInstanceUid;
use crate::store::{JournalEntry, StudyMark};

/// Studies that are named together.
const TOLD_TOGETHER: usize = 100;

impl Content {
    /// Locks a study until it is unlocked.
    pub async fn lock(
        &self,
        study: &StudyInstanceUid,
        reason: &str,
        who: &Operator,
    ) -> Result<StudyLock, ContentError> {
        let locked = self.try_lock(study, reason, who).await;
        self.tell_of_lock(CorrectionAction::Lock, study, reason, who, locked).await
    }

    async fn try_lock(
        &self,
        study: &StudyInstanceUid,
        reason: &str,
        who: &Operator,
    ) -> Result<StudyLock, ContentError> {
        refusal::check(who, Privilege::Content, "lock studies")?;
        self.catalog.release_dead_locks().await?;
        let own = |lock: &StudyLock| lock.study == *study && lock.owner == who.name && lock.is_manual();
        if let Some(lock) = self.catalog.study_locks().await?.into_iter().find(own) {
            let since = super::day(lock.since);
            return Err(Refusal::LockedAlready { study: study.clone(), since, reason: lock.reason }.into());
        }
        let lock = self.catalog.lock_study(study, &who.name, reason).await?;
        self.note(study, StudyMark::Locked, reason, who).await?;
        Ok(lock)
    }

    /// Takes the lock of a study away; what it was.
    pub async fn unlock(
        &self,
        study: &StudyInstanceUid,
        reason: &str,
        who: &Operator,
    ) -> Result<StudyLock, ContentError> {
        let unlocked = self.try_unlock(study, reason, who).await;
        self.tell_of_lock(CorrectionAction::Unlock, study, reason, who, unlocked).await
    }

    async fn try_unlock(
        &self,
        study: &StudyInstanceUid,
        reason: &str,
        who: &Operator,
    ) -> Result<StudyLock, ContentError> {
        refusal::check(who, Privilege::Content, "unlock studies")?;
        self.catalog.release_dead_locks().await?;
        let locks = self.catalog.study_locks().await?;
        match locks.into_iter().find(|lock| lock.study == *study) {
            None => return Err(Refusal::NotLocked(study.clone()).into()),
            // It ends by itself, and takes its lock with it.
            Some(lock) if !lock.is_manual() => {
                return Err(
                    Refusal::Busy { study: study.clone(), owner: lock.owner, since: super::day(lock.since) }.into()
                );
            }
            Some(lock) if lock.owner != who.name => {
                refusal::check(who, Privilege::Unlock, "take away the lock of somebody else")?;
            }
            Some(_) => {}
        }
        let lock = self.catalog.unlock_study(study).await?;
        self.note(study, StudyMark::Unlocked, reason, who).await?;
        Ok(lock)
    }

    /// Marks a study as migrated by a cardiovascular system, which keeps everybody from correcting it; or takes the mark
    /// away, which is like taking away the lock of somebody else.
    pub async fn mark_cardiovascular(
        &self,
        study: &StudyInstanceUid,
        is: bool,
        reason: &str,
        who: &Operator,
    ) -> Result<(), ContentError> {
        let (action, needs, doing) = match is {
            true => (CorrectionAction::Lock, Privilege::Content, "mark studies as migrated by a cardiovascular system"),
            false => (CorrectionAction::Unlock, Privilege::Unlock, "take the mark of a cardiovascular system away"),
        };
        let marked = async {
            refusal::check(who, needs, doing)?;
            self.catalog.mark_cv_migrated(study, is).await?;
            let mark = if is { StudyMark::Cardiovascular } else { StudyMark::General };
            self.note(study, mark, reason, who).await
        };
        let reason = format!("migrated by a cardiovascular system: {}. {reason}", if is { "yes" } else { "no" });
        self.tell_of_lock(action, study, &reason, who, marked.await).await
    }

    /// Locks have another owner, whom each of them names: so that the journal and the audit trail say so, too.
    pub async fn handed_over(&self, locks: &[StudyLock], why: &str, who: &Operator) -> Result<(), ContentError> {
        for locks in locks.chunks(TOLD_TOGETHER) {
            let entry = |lock: &StudyLock| JournalEntry::Study {
                study: lock.study.to_string(),
                mark: StudyMark::Locked,
                by: lock.owner.clone(),
                reason: lock.reason.clone(),
                at: lock.since,
            };
            self.journal(locks.iter().map(entry).collect()).await?;
            let studies = locks.iter().map(|lock| lock.study.to_string()).collect();
            let why = Why { code: String::new(), text: why.to_owned() };
            let event = told::of_studies(CorrectionAction::Lock, None, studies, &why, who, AuditOutcome::Success);
            self.audit.write(event).await?;
        }
        Ok(())
    }

    /// Tells the journal what the catalog has, for a catalog made anew.
    async fn note(
        &self,
        study: &StudyInstanceUid,
        mark: StudyMark,
        reason: &str,
        who: &Operator,
    ) -> Result<(), ContentError> {
        self.journal(vec![marked(study, mark, &who.name, reason)]).await
    }

    async fn tell_of_lock<T>(
        &self,
        action: CorrectionAction,
        study: &StudyInstanceUid,
        reason: &str,
        who: &Operator,
        done: Result<T, ContentError>,
    ) -> Result<T, ContentError> {
        let outcome = match &done {
            Ok(_) => AuditOutcome::Success,
            Err(error @ ContentError::Refused(_)) => AuditOutcome::Minor(error.to_string()),
            Err(_) => return done,
        };
        let why = Why { code: String::new(), text: reason.to_owned() };
        self.audit.write(told::of_studies(action, None, vec![study.to_string()], &why, who, outcome)).await?;
        done
    }
}
