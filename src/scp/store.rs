//! C-STORE as SCP (PS3.4 annex B): one object from the association into the intake, and what the sender is told.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use super::caller::Caller;
use super::exchange::{FRAGMENT, RESPONSE};
use super::listener::Receiver;
use super::node::Services;
use super::sender::Sender;
use crate::audit::Transfers;
use crate::catalog::Recorded;
use crate::config::AnswerPolicy;
use crate::dataset::CharacterSet;
use crate::dicom::{Identity, SopClassUid, SopInstanceUid, Status};
use crate::dimse::{Command, DimseError, Session};
use crate::intake::{Intake, IntakeError, Stored};
use crate::object::{Disposition, FRAGMENTS_IN_FLIGHT, Fault, Fragment, ObjectStream, Origin};

/// Receives an object from a source at the receiver's port, has it filed, and answers. Only an object of a study that is
/// being pulled from this very source may be acknowledged before it is durable: the source keeps it, and the pull is
/// judged by what is filed. When in doubt, durable.
pub(super) async fn receive(
    session: &mut Session,
    receiver: &Receiver,
    sender: &Sender,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    let config = receiver.config.borrow().clone();
    let early = config.receiver.answer == AnswerPolicy::Received;
    let may_answer_early = |identity: &Identity| {
        // Where nothing is pulled there is nothing to ask the catalog.
        let pulled = (early || sender.gate.is_pulled())
            && receiver.catalog.pull_open(&sender.name, &identity.study).unwrap_or(false);
        if !pulled {
            sender.gate.strange();
        }
        early && pulled
    };
    let charset = super::charset_of(&config, Some(&sender.name));
    // What a pull brings is told by its job, not study by study.
    let transfers = None;
    let entry = Entry {
        intake: &receiver.intake,
        sender: Some(sender),
        charset,
        may_answer_early: &may_answer_early,
        patience: FRAGMENT,
        transfers,
    };
    entry.take(session, context, command).await
}

/// Receives an object at the hospital's port, and answers when it is durable.
pub(super) async fn serve(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    transfers: &mut Transfers,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    let sender = caller.source.as_ref();
    let config = services.config.borrow().clone();
    let patience = config.node.limits.stall;
    let charset = super::charset_of(&config, sender.map(|sender| sender.name.as_str()));
    let transfers = Some(transfers);
    let entry = Entry { intake: &services.intake, sender, charset, may_answer_early: &|_| false, patience, transfers };
    entry.take(session, context, command).await?;
    services.meter.received();
    Ok(())
}

/// The way in of one object.
struct Entry<'a> {
    intake: &'a Intake,
    sender: Option<&'a Sender>,
    charset: CharacterSet,
    may_answer_early: &'a (dyn Fn(&Identity) -> bool + Send + Sync),
    /// How long the next fragment may take.
    patience: Duration,
    /// What the audit trail is told of this association.
    transfers: Option<&'a mut Transfers>,
}

impl Entry<'_> {
    /// Takes the data set that follows a C-STORE-RQ, has it filed, and answers.
    async fn take(self, session: &mut Session, context: u8, command: &Command) -> Result<(), DimseError> {
        let association = session.association();
        let Some(transfer) = association.context(context).cloned() else {
            return Err(DimseError::Unexpected { what: "a message on a context that is not there".into() });
        };
        let source = self.sender.map(|sender| sender.name.as_str());
        let (sending, fragments) = mpsc::channel(FRAGMENTS_IN_FLIGHT);
        let stream = ObjectStream {
            class: command.class.clone().unwrap_or_else(|| SopClassUid::new(transfer.abstract_syntax.as_str())),
            instance: command.instance.clone().unwrap_or_else(|| SopInstanceUid::new("")),
            transfer_syntax: transfer.transfer_syntax,
            origin: Origin {
                source: source.map(str::to_owned),
                ae_title: association.peer().calling.clone(),
                address: association.peer().address.ip(),
                association: association.id(),
            },
            fragments,
        };
        let (class, instance) = (stream.class.clone(), stream.instance.clone());
        let study = OnceLock::new();
        let may_answer_early = |identity: &Identity| {
            let _first = study.set(identity.study.clone());
            (self.may_answer_early)(identity)
        };
        let stored = self.intake.store(stream, self.charset, &may_answer_early);
        let (pumped, stored) = tokio::join!(pump(session, sending, self.patience), stored);
        if let Err(error) = pumped {
            let study = study.get().map(tracing::field::display);
            warn!(source, sop_instance.uid = %instance, study.uid = study, %error, "an object was cut short");
            return Err(error);
        }
        let (status, comment) = answer_of(&stored);
        match &stored {
            Ok(Stored::Recorded(Recorded::Quarantined(reason))) => {
                warn!(sop_instance.uid = %instance, reason, "kept in quarantine")
            }
            Ok(stored) => debug!(sop_instance.uid = %instance, ?stored, "object received"),
            Err(failure) => {
                error!(sop_instance.uid = %instance, %status, error = failure as &dyn std::error::Error, "an object was refused");
            }
        }
        if let Some(sender) = self.sender {
            sender.gate.arrived();
            if let Err(failure) = &stored {
                sender.gate.refused(status, failure);
            }
        }
        if let Some(transfers) = self.transfers {
            let failed = stored.is_err().then(|| format!("refused with status {status}"));
            transfers.object(study.get().map_or("", |study| study.as_str()), class.as_str(), failed.as_deref());
        }
        let mut response = Command::response(command, status);
        response.comment = comment;
        session.send(context, &response, None, RESPONSE).await
    }
}

/// Carries the data set from the association to the intake. Dropping `sending` without `End`, however that comes, tells
/// the intake that the object was cut short.
async fn pump(session: &mut Session, sending: mpsc::Sender<Fragment>, patience: Duration) -> Result<(), DimseError> {
    while let Some((data, last)) = session.read_data(patience).await? {
        // A closed channel means that the intake has failed and says so below; what the sender still has to say must be
        // read for it to hear that.
        if !data.is_empty() {
            let _closed = sending.send(Fragment::Data(data)).await;
        }
        if last {
            let _closed = sending.send(Fragment::End).await;
            break;
        }
    }
    Ok(())
}

/// The status that a sender is given for what became of its object, with a comment for its log.
pub fn answer_of(stored: &Result<Stored, IntakeError>) -> (Status, Option<String>) {
    match stored {
        Ok(Stored::Received) => (Status::SUCCESS, None),
        Ok(Stored::Recorded(recorded)) => match recorded {
            Recorded::New | Recorded::Duplicate | Recorded::AlreadyMoved => (Status::SUCCESS, None),
            Recorded::Variant | Recorded::Collision => {
                (Status::COERCION, Some("another object with this UID is held; both are kept".into()))
            }
            Recorded::Quarantined(reason) if reason.contains("contradict") => {
                (Status::MISMATCH_STORED, Some(short(reason)))
            }
            Recorded::Quarantined(reason) => (Status::SUCCESS, Some(short(reason))),
            Recorded::Contested => (Status::OUT_OF_RESOURCES, Some("busy, send again".into())),
        },
        Err(failure) => match (failure.fault(), failure.disposition()) {
            (Fault::Local, _) | (Fault::Peer, Disposition::Retry | Disposition::Halt) => {
                (Status::OUT_OF_RESOURCES, Some("the archive cannot take it now".into()))
            }
            (Fault::Object, _) | (Fault::Peer, Disposition::GiveUp) => {
                (Status::CANNOT_UNDERSTAND, Some("the object could not be kept".into()))
            }
        },
    }
}

/// Error Comment (0000,0902) holds 64 characters.
fn short(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).take(64).collect()
}
