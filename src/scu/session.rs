//! An association with a source: what is proposed, what is accepted, and one operation at a time.

use std::time::Duration;

use super::{ScuError, Target};
use crate::assoc::{self, AssocError, MOST_CONTEXTS, Proposal, Proposed, RequestTimeouts};
use crate::dicom::{Encoding, SopClassUid, TransferSyntaxUid, encoding_of, uids};
use crate::dimse::Session;

/// What we say we take in one PDU.
const MAX_PDU: u32 = 131_072;
/// A wait that only [`Watch`] ends.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// The transfer syntaxes of identifiers.
pub(super) const PLAIN: [&str; 2] = [uids::EXPLICIT_LE, uids::IMPLICIT_LE];
/// How many contexts of a C-GET association are left for objects.
pub const MOST_STORAGE_CONTEXTS: usize = MOST_CONTEXTS - 2;

/// What an association is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// C-FIND, and C-MOVE in the same association.
    Query,
    /// C-MOVE, and C-FIND in the same association.
    Move,
    /// C-FIND of a Modality Worklist.
    Worklist,
    /// C-GET, with one presentation context for each SOP class and transfer syntax, [`MOST_STORAGE_CONTEXTS`] in all.
    Get(Vec<(SopClassUid, Vec<TransferSyntaxUid>)>),
}

/// A service that we ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// C-FIND.
    Find,
    /// C-MOVE.
    Move,
    /// C-GET.
    Get,
    /// C-FIND of a Modality Worklist.
    Worklist,
}

impl Service {
    /// Its SOP classes, Study Root first: that is what we ask in when there is a choice.
    pub(super) fn classes(self) -> &'static [&'static str] {
        match self {
            Service::Find => &[uids::STUDY_ROOT_FIND, uids::PATIENT_ROOT_FIND],
            Service::Move => &[uids::STUDY_ROOT_MOVE, uids::PATIENT_ROOT_MOVE],
            Service::Get => &[uids::STUDY_ROOT_GET, uids::PATIENT_ROOT_GET],
            Service::Worklist => &[uids::MODALITY_WORKLIST_FIND],
        }
    }

    /// In words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Service::Find => "C-FIND",
            Service::Move => "C-MOVE",
            Service::Get => "C-GET",
            Service::Worklist => "C-FIND of a Modality Worklist",
        }
    }
}

/// The presentation context that an operation runs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) id: u8,
    pub(super) class: &'static str,
    pub(super) encoding: Encoding,
}

/// An association with a source. Dropping it aborts it.
#[derive(Debug)]
pub struct SourceSession {
    session: Option<Session>,
    target: Target,
    association: u64,
    next_message: u16,
    busy: bool,
}

impl SourceSession {
    /// Opens an association.
    pub async fn open(target: &Target, purpose: Purpose) -> Result<SourceSession, ScuError> {
        let plain = |class: &str| proposed(class, &PLAIN, None);
        let contexts: Vec<Proposed> = match purpose {
            Purpose::Query | Purpose::Move => {
                [Service::Find, Service::Move].iter().flat_map(|s| s.classes()).copied().map(plain).collect()
            }
            Purpose::Worklist => Service::Worklist.classes().iter().copied().map(plain).collect(),
            Purpose::Get(objects) => {
                let storage = objects.iter().flat_map(|(class, syntaxes)| {
                    syntaxes.iter().map(|syntax| proposed(class.as_str(), &[syntax.as_str()], Some(true)))
                });
                Service::Get.classes().iter().copied().map(plain).chain(storage).collect()
            }
        };
        if contexts.len() > MOST_CONTEXTS {
            let (wanted, most) = (contexts.len(), MOST_CONTEXTS);
            return Err(ScuError::TooManyContexts { wanted, most });
        }
        let session = connect(target, contexts).await?;
        let association = session.association().id();
        Ok(SourceSession { session: Some(session), target: target.clone(), association, next_message: 1, busy: false })
    }

    /// Whether the source accepted a service, in whichever information model.
    pub fn can(&self, service: Service) -> bool {
        self.context(service).is_ok()
    }

    /// Whether queries run in the Patient Root model, for want of the other: every request then names the patient.
    pub fn needs_patient_id(&self) -> bool {
        self.context(Service::Find).is_ok_and(|context| context.class == uids::PATIENT_ROOT_FIND)
    }

    /// The number of the association within this process.
    pub fn association_id(&self) -> u64 {
        self.association
    }

    /// The message id that the next request will have: what a checkpoint writes down before.
    pub fn next_message_id(&self) -> u16 {
        self.next_message
    }

    /// Whether another operation can be started. Not after a cancel that was ignored, or an error.
    pub fn is_usable(&self) -> bool {
        self.session.is_some() && !self.busy
    }

    /// Ends the association in peace, or, in the middle of an operation, at once.
    pub async fn release(mut self) {
        let busy = self.busy;
        let limit = self.target.respond;
        match self.session.take() {
            Some(session) if busy => session.abort().await,
            Some(session) => session.release(limit).await,
            None => {}
        }
    }

    /// Ends the association at once.
    pub async fn abort(mut self) {
        self.hang_up().await;
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The context for a service: Study Root, else Patient Root.
    pub(super) fn context(&self, service: Service) -> Result<Context, ScuError> {
        let association = self.session.as_ref().ok_or_else(|| self.not_ready("it has ended"))?.association();
        let context = service.classes().iter().find_map(|class| {
            let context = association.context_for(class)?;
            Some(Context { id: context.id, class, encoding: encoding_of(&context.transfer_syntax) })
        });
        let service = match service {
            Service::Find => "C-FIND (Study Root or Patient Root)",
            Service::Move => "C-MOVE (Study Root or Patient Root)",
            Service::Get => "C-GET (Study Root or Patient Root)",
            Service::Worklist => "queries of a Modality Worklist (C-FIND)",
        };
        context.ok_or_else(|| ScuError::NotAccepted { called: self.target.called.clone(), service })
    }

    /// Takes the association for an operation: the message id of its request.
    pub(super) fn take(&mut self) -> Result<u16, ScuError> {
        if self.busy {
            return Err(self.not_ready("another operation has not ended"));
        }
        let id = self.next_message;
        self.next_message = id.checked_add(1).unwrap_or(1);
        self.busy = true;
        Ok(id)
    }

    /// The operation has ended; the association is free for the next.
    pub(super) fn done(&mut self) {
        self.busy = false;
    }

    /// The live session.
    pub(super) fn session(&mut self) -> Result<&mut Session, ScuError> {
        let gone = self.not_ready("it has ended");
        self.session.as_mut().ok_or(gone)
    }

    /// An A-ABORT; afterwards the association is gone.
    pub(super) async fn hang_up(&mut self) {
        if let Some(session) = self.session.take() {
            session.abort().await;
        }
    }

    fn not_ready(&self, why: &'static str) -> ScuError {
        ScuError::NotReady { called: self.target.called.clone(), why }
    }
}

/// Opens an association with these contexts.
pub(super) async fn connect(target: &Target, contexts: Vec<Proposed>) -> Result<Session, ScuError> {
    let (called, calling) = (target.called.clone(), target.calling.clone());
    let (tls, identity) = (target.tls.clone(), target.identity.clone());
    let proposal = Proposal { called, calling, contexts, max_pdu: MAX_PDU, extended: Vec::new(), tls, identity };
    let timeouts = RequestTimeouts { connect: target.connect, negotiate: target.respond };
    let opening = Box::pin(assoc::request(&target.host, target.port, &proposal, &timeouts));
    let opened: Result<_, AssocError> = opening.await;
    let mut association = opened.map_err(|source| ScuError::Open { called: target.called.clone(), source })?;
    if target.throttle.is_some() {
        association.set_throttle(target.throttle.clone());
    }
    Ok(Session::new(association))
}

pub(super) fn proposed(class: &str, syntaxes: &[&str], scp_role: Option<bool>) -> Proposed {
    let transfer_syntaxes = syntaxes.iter().map(|syntax| (*syntax).to_string()).collect();
    Proposed { abstract_syntax: class.to_string(), transfer_syntaxes, scp_role }
}

/// For queries and echoes alike.
pub(super) fn plain(class: &str) -> Proposed {
    proposed(class, &PLAIN, None)
}
