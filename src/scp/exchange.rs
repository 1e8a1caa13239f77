//! One message after the other, as both ports take them: the wait for the next request, and the short answers.

use std::time::Duration;

use crate::config::NodeLimits;
use crate::dicom::Status;
use crate::dimse::{Command, DimseError, Session};

/// How long the next fragment of a message may take.
pub(super) const FRAGMENT: Duration = Duration::from_secs(60);
/// How long a response may take to be taken.
pub(super) const RESPONSE: Duration = Duration::from_secs(60);

/// What comes next on an association.
pub(super) enum Next {
    /// A request, on a presentation context.
    Request(u8, Command),
    /// The peer asked for release, and got it.
    Released,
    /// We are to stop.
    Stopped,
}

/// Waits for the next request, for the release, or for `stopped`.
pub(super) async fn next(
    session: &mut Session,
    idle: Duration,
    stopped: impl Future<Output = ()>,
) -> Result<Next, DimseError> {
    tokio::select! {
        biased;
        () = stopped => Ok(Next::Stopped),
        received = session.receive(idle) => Ok(match received? {
            Some((context, command)) => Next::Request(context, command),
            None => Next::Released,
        }),
    }
}

/// The identifier of a query or a retrieve, within the limits of the node; empty where there is none.
pub(super) async fn identifier(
    session: &mut Session,
    command: &Command,
    limits: &NodeLimits,
) -> Result<Vec<u8>, DimseError> {
    match command.has_data_set {
        true => session.collect_data(limits.identifier, limits.stall).await,
        false => Ok(Vec::new()),
    }
}

/// Answers a request with nothing but a status; its data set is read and dropped.
pub(super) async fn answer(
    session: &mut Session,
    context: u8,
    command: &Command,
    status: Status,
) -> Result<(), DimseError> {
    if command.has_data_set {
        session.discard_data(FRAGMENT).await?;
    }
    session.send(context, &Command::response(command, status), None, RESPONSE).await
}
