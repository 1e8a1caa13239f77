//! C-ECHO, and what a peer accepts.

use std::time::{Duration, Instant};

use super::session::{FOR_EVER, Service, connect, plain};
use super::{ScuError, Target};
use crate::dicom::{Status, uids};
use crate::dimse::{Command, DimseError};

const DOING: &str = "C-ECHO";

/// What a peer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoReport {
    /// Its implementation: version name and class UID, as far as it gives them.
    pub implementation: Option<String>,
    /// The longest PDU that it takes; 0 is unlimited.
    pub max_pdu: u32,
    /// Accepted abstract syntaxes, each with the transfer syntax.
    pub accepted: Vec<(String, String)>,
    /// Abstract syntaxes that it does not accept.
    pub rejected: Vec<String>,
    /// From connecting to the C-ECHO response.
    pub elapsed: Duration,
}

/// Sends a C-ECHO, and tries on the way which of C-FIND, C-MOVE and C-GET the peer accepts in either root.
pub async fn echo(target: &Target) -> Result<EchoReport, ScuError> {
    let started = Instant::now();
    let services = [Service::Find, Service::Move, Service::Get].into_iter().flat_map(Service::classes).copied();
    let classes: Vec<&str> = std::iter::once(uids::VERIFICATION).chain(services).collect();
    let mut session = connect(target, classes.iter().map(|class| plain(class)).collect()).await?;
    let association = session.association();
    let peer = association.peer();
    let names = [&peer.implementation_version, &peer.implementation_class];
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    let accepted = association.contexts().iter();
    let mut report = EchoReport {
        implementation: (!names.is_empty()).then(|| names.join(" ")),
        max_pdu: peer.max_pdu,
        accepted: accepted.map(|c| (c.abstract_syntax.to_string(), c.transfer_syntax.to_string())).collect(),
        rejected: Vec::new(),
        elapsed: Duration::ZERO,
    };
    let missing = classes.iter().filter(|class| association.context_for(class).is_none());
    report.rejected = missing.map(|class| (*class).to_string()).collect();
    let called = || target.called.clone();
    let Some(context) = association.context_for(uids::VERIFICATION).map(|context| context.id) else {
        session.release(target.respond).await;
        return Err(ScuError::NotAccepted { called: called(), service: "C-ECHO (Verification)" });
    };
    let broken = |source| ScuError::Broken { doing: DOING, called: called(), source };
    session.send(context, &Command::echo_rq(1), None, target.respond).await.map_err(broken)?;
    let answer = tokio::time::timeout(target.respond, session.receive(FOR_EVER)).await;
    let answer = answer.map_err(|_| ScuError::Idle { doing: DOING, called: called(), limit: target.respond })?;
    let status = status(answer.map_err(broken)?);
    report.elapsed = started.elapsed();
    session.release(target.respond).await;
    match status {
        Some(Status::SUCCESS) => Ok(report),
        Some(status) => Err(ScuError::EchoRefused { called: called(), status }),
        None => Err(broken(DimseError::Unexpected { what: "no response to the C-ECHO".into() })),
    }
}

fn status(answer: Option<(u8, Command)>) -> Option<Status> {
    answer.and_then(|(_, command)| command.status)
}
