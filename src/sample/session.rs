//! The associations that peers open to a sample PACS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::log::{Ending, Event};
use super::profile::{Profile, Services};
use super::shared::Shared;
use super::{find, get, moves};
use crate::assoc::negotiate::{Offered, is_storage};
use crate::assoc::tls::Acceptor;
use crate::assoc::{self, AcceptPolicy, Answer, AssocError, Decision, Offer, Rejection};
use crate::dicom::{Status, uids};
use crate::dimse::{Command, CommandField, DimseError, Session};

/// How long a peer may be silent between two requests.
const IDLE: Duration = Duration::from_secs(600);
/// How long a peer may take to take or to send one message.
pub(crate) const MESSAGE: Duration = Duration::from_secs(60);
/// The longest identifier that is read.
pub(crate) const LONGEST_IDENTIFIER: usize = 4 << 20;
/// The most connections at once, whatever the profile says.
const MOST_CONNECTIONS: usize = 1000;

/// Accepts connections until it is dropped.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                connections.spawn(connection(socket, Arc::clone(&shared)));
            }
            // Out of file descriptors, for instance: others must end before it gets better.
            Err(error) => {
                tracing::warn!(%error, "the sample PACS cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.len() >= MOST_CONNECTIONS || connections.try_join_next().is_some() {
            if connections.len() >= MOST_CONNECTIONS {
                connections.join_next().await;
            }
        }
    }
}

/// One of the associations that are counted; dropping it counts down.
#[derive(Debug)]
struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.log().leave();
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    let profile = shared.profile();
    // The seat is taken while the offer is looked at, so that two offers at once cannot have the last one.
    let seat: Arc<Mutex<Option<Seat>>> = Arc::default();
    let tls = match profile.tls.as_ref().map(Acceptor::load).transpose() {
        Ok(tls) => tls,
        Err(error) => return tracing::error!(%error, "the sample PACS has no certificate"),
    };
    let policy = AcceptPolicy {
        ae_titles: vec![shared.ae_title.clone()],
        max_pdu: profile.max_pdu,
        accept_scp_role: profile.get_role,
        tls,
        authenticate: None,
        choose: {
            let (shared, seat, profile) = (Arc::clone(&shared), Arc::clone(&seat), profile.clone());
            Arc::new(move |offer| decide(offer, &shared, &profile, &seat))
        },
    };
    let association = match assoc::accept(socket, &policy).await {
        Ok(association) => association,
        Err(AssocError::Refused { calling, .. }) => return shared.note(0, Event::Rejected { calling }),
        Err(error) => return tracing::debug!(%error, "the sample PACS got no association"),
    };
    let id = association.id();
    shared.note(id, Event::Opened { calling: association.peer().calling.clone() });
    let ending = serve(Session::new(association), &shared).await;
    shared.note(id, Event::Closed { ending });
}

fn decide(offer: &Offer, shared: &Arc<Shared>, profile: &Profile, seat: &Mutex<Option<Seat>>) -> Decision {
    let known = |callers: &Vec<String>| callers.iter().any(|one| one.eq_ignore_ascii_case(&offer.calling));
    if !profile.known_callers.as_ref().is_none_or(known) {
        return Decision::Reject(Rejection::CallingNotRecognized);
    }
    let too_fast = profile.associations_per_second.is_some_and(|limit| shared.is_too_fast(limit));
    if too_fast || (profile.rejected_percent > 0 && shared.dice() < profile.rejected_percent) {
        return Decision::Reject(Rejection::Congestion);
    }
    if !shared.log().admit(profile.max_associations) {
        return Decision::Reject(Rejection::LocalLimit);
    }
    *seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seat(Arc::clone(shared)));
    let odd = shared.count_accepted() % 2 == 1;
    let mut services = profile.services;
    if profile.contexts_alternate && odd {
        services = Services { move_: false, get: false, ..services };
    }
    Decision::Accept(Box::new(move |context| answer(context, &services)))
}

fn answer(context: &Offered, services: &Services) -> Answer {
    let offered = match context.abstract_syntax.as_str() {
        uids::VERIFICATION => true,
        uids::STUDY_ROOT_FIND => services.study_root && services.find,
        uids::STUDY_ROOT_MOVE => services.study_root && services.move_,
        uids::STUDY_ROOT_GET => services.study_root && services.get,
        uids::PATIENT_ROOT_FIND => services.patient_root && services.find,
        uids::PATIENT_ROOT_MOVE => services.patient_root && services.move_,
        uids::PATIENT_ROOT_GET => services.patient_root && services.get,
        other => services.get && is_storage(other),
    };
    if offered { context.accept() } else { Answer::AbstractSyntaxNotSupported }
}

/// What is left of a session when a request was served.
pub(crate) enum Next {
    /// It goes on.
    Goes,
    /// It is to be aborted.
    Abort,
    /// It is over.
    Over(Ending),
}

async fn serve(mut session: Session, shared: &Arc<Shared>) -> Ending {
    let id = session.association().id();
    loop {
        let (context, command) = match session.receive(IDLE).await {
            Ok(Some(message)) => message,
            Ok(None) => return Ending::Released,
            Err(error) => return lost(&error),
        };
        let next = match command.field {
            CommandField::CEchoRq => {
                shared.note(id, Event::Echo);
                reply(&mut session, context, &Command::response(&command, Status::SUCCESS)).await
            }
            CommandField::CFindRq => find::serve(&mut session, context, &command, shared).await,
            CommandField::CMoveRq => moves::serve(&mut session, context, &command, shared).await,
            CommandField::CGetRq => get::serve(&mut session, context, &command, shared).await,
            // It came after the last response, which is nobody's fault.
            CommandField::CCancelRq => {
                shared.note(id, Event::Cancel);
                Next::Goes
            }
            _ => unknown(&mut session, context, &command).await,
        };
        match next {
            Next::Goes => {}
            Next::Abort => {
                session.abort().await;
                return Ending::Aborted;
            }
            Next::Over(ending) => return ending,
        }
    }
}

async fn unknown(session: &mut Session, context: u8, command: &Command) -> Next {
    if command.has_data_set
        && let Err(error) = session.discard_data(MESSAGE).await
    {
        return Next::Over(lost(&error));
    }
    reply(session, context, &Command::response(command, Status::UNRECOGNIZED_OPERATION)).await
}

/// Sends a response without a data set.
pub(crate) async fn reply(session: &mut Session, context: u8, response: &Command) -> Next {
    match session.send(context, response, None, MESSAGE).await {
        Ok(()) => Next::Goes,
        Err(error) => Next::Over(lost(&error)),
    }
}

/// How an association ended by this error.
pub(crate) fn lost(error: &DimseError) -> Ending {
    tracing::debug!(%error, "an association with the sample PACS broke");
    Ending::Lost
}

/// Whether nothing came within the time, and the session is still good.
pub(crate) fn is_timeout(error: &DimseError) -> bool {
    matches!(error, DimseError::Association(AssocError::Timeout { .. }))
}
