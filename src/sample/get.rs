//! C-GET as a sample PACS performs it: the objects come on the association that asked for them.

use std::sync::Arc;

use tokio::time::Instant;

use super::archive::SampleObject;
use super::deliver::send_object;
use super::find::{cancelled_within, identifier};
use super::log::Event;
use super::profile::{CancelPolicy, Profile};
use super::retrieve::{Tally, request, resolve};
use super::session::{MESSAGE, Next, lost, reply};
use super::shared::Shared;
use crate::dicom::{Status, StudyInstanceUid};
use crate::dimse::{Command, CommandField, DimseError, Session};

pub(crate) async fn serve(session: &mut Session, context: u8, command: &Command, shared: &Arc<Shared>) -> Next {
    let id = session.association().id();
    let profile = shared.profile();
    let (keys, encoding) = match identifier(session, context).await {
        Ok(identifier) => identifier,
        Err(error) => return Next::Over(lost(&error)),
    };
    let wanted = request(&keys, None);
    shared.note(id, Event::Retrieve(wanted.clone()));
    let objects = match resolve(&wanted, &profile, shared) {
        Ok(objects) => objects,
        Err(status) => {
            shared.note(id, Event::RetrieveEnded { status });
            return reply(session, context, &Command::response(command, status)).await;
        }
    };
    let studies: Vec<StudyInstanceUid> = wanted.studies.iter().map(|uid| StudyInstanceUid::new(uid)).collect();
    let empty = studies.iter().any(|study| shared.retrieves(study) < profile.empty_successes);
    let objects = if empty { Vec::new() } else { objects };
    let breaks = profile.abort_after.filter(|after| !objects.is_empty() && shared.may_break_off(after.times));
    let mut retrieval = Retrieval {
        tally: Tally { total: objects.len(), ..Tally::default() },
        session,
        context,
        command,
        shared,
        profile: &profile,
        cancel_due: None,
    };
    let ended = retrieval.run(&objects, breaks.map(|after| after.objects)).await;
    studies.iter().for_each(|study| shared.retrieved(study));
    let Retrieval { tally, session, .. } = retrieval;
    let cancelled = match ended {
        Ok(Ended::Done { cancelled }) => cancelled,
        Ok(Ended::BrokenOff) => return Next::Abort,
        Err(error) => return Next::Over(lost(&error)),
    };
    let status = tally.status(cancelled, &profile);
    let (response, list) = tally.last(command, status, &profile, encoding);
    match session.send(context, &response, list.as_deref(), MESSAGE).await {
        Ok(()) => {
            shared.note(id, Event::RetrieveEnded { status });
            Next::Goes
        }
        Err(error) => Next::Over(lost(&error)),
    }
}

enum Ended {
    Done { cancelled: bool },
    BrokenOff,
}

/// A C-GET that is being performed.
struct Retrieval<'a> {
    session: &'a mut Session,
    context: u8,
    command: &'a Command,
    shared: &'a Shared,
    profile: &'a Profile,
    tally: Tally,
    /// When a C-CANCEL that counts takes effect.
    cancel_due: Option<Instant>,
}

impl Retrieval<'_> {
    async fn run(&mut self, objects: &[SampleObject], abort_after: Option<usize>) -> Result<Ended, DimseError> {
        self.wait(self.profile.silence).await?;
        let mut message_id = 0u16;
        for (sent, object) in objects.iter().enumerate() {
            if abort_after.is_some_and(|limit| sent >= limit) {
                return Ok(Ended::BrokenOff);
            }
            self.wait(self.profile.store_pause).await?;
            if self.is_cancelled() {
                return Ok(Ended::Done { cancelled: true });
            }
            message_id = message_id.wrapping_add(1).max(1);
            let instance = object.identity.instance.clone();
            let status = self.store(object, message_id).await?;
            self.tally.add(instance, status);
            if self.profile.pendings {
                let response = self.tally.pending(self.command, self.profile);
                self.session.send(self.context, &response, None, MESSAGE).await?;
            }
        }
        Ok(Ended::Done { cancelled: self.is_cancelled() })
    }

    fn is_cancelled(&self) -> bool {
        self.cancel_due.is_some_and(|due| due <= Instant::now())
    }

    async fn wait(&mut self, time: std::time::Duration) -> Result<(), DimseError> {
        let end = Instant::now() + time;
        loop {
            if cancelled_within(self.session, end.saturating_duration_since(Instant::now())).await? {
                self.cancel();
            }
            if Instant::now() >= end || self.is_cancelled() {
                return Ok(());
            }
        }
    }

    fn cancel(&mut self) {
        self.shared.note(self.session.association().id(), Event::Cancel);
        match self.profile.cancel {
            CancelPolicy::Obeyed => self.cancel_due = Some(Instant::now()),
            CancelPolicy::Late(late) => self.cancel_due = self.cancel_due.or(Some(Instant::now() + late)),
            CancelPolicy::Ignored => {}
        }
    }

    /// Sends one object; `None` when it failed or had no presentation context.
    async fn store(&mut self, object: &SampleObject, message_id: u16) -> Result<Option<Status>, DimseError> {
        if self.shared.fails(object) || !send_object(self.session, object, message_id, None).await? {
            return Ok(None);
        }
        loop {
            let status = match self.session.receive(MESSAGE).await? {
                Some((_, response)) if response.field == CommandField::CStoreRsp => response.status,
                Some((_, request)) if request.field == CommandField::CCancelRq => {
                    self.cancel();
                    continue;
                }
                _ => return Err(DimseError::Unexpected { what: "no C-STORE response".to_owned() }),
            };
            let id = self.session.association().id();
            self.shared.note(id, Event::Stored { instance: object.identity.instance.clone(), status });
            return Ok(status);
        }
    }
}
