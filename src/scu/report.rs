//! N-EVENT-REPORT: telling a peer, as the SCP that it asked before, what became of its request.

use std::sync::Arc;
use std::time::Duration;

use super::session::{FOR_EVER, PLAIN, connect, proposed};
use super::{ScuError, Target};
use crate::dicom::{Encoding, Status, encoding_of};
use crate::dimse::{Command, CommandField, DimseError, Session};

const DOING: &str = "N-EVENT-REPORT";

/// What a peer is told.
pub struct Report {
    /// The SOP class of the event.
    pub class: &'static str,
    /// Its SOP instance.
    pub instance: &'static str,
    /// Event Type ID.
    pub event: u16,
    /// Writes the data set in the encoding that the association has for it.
    pub data: Arc<dyn Fn(Encoding) -> Vec<u8> + Send + Sync>,
}

/// Tells a peer on an association of its own, in which we propose to be the SCP; with the status of its answer.
pub async fn report(target: &Target, report: &Report) -> Result<Status, ScuError> {
    let mut session = connect(target, vec![proposed(report.class, &PLAIN, Some(true))]).await?;
    let called = || target.called.clone();
    // Whoever accepts the context without a word on roles means it as well.
    let Some(context) = session.association().contexts().first().map(|context| context.id) else {
        session.release(target.respond).await;
        return Err(ScuError::NotAccepted { called: called(), service: "N-EVENT-REPORT (Storage Commitment)" });
    };
    match report_on(&mut session, context, report, target.respond).await {
        Ok(Told::Answered(status)) => {
            session.release(target.respond).await;
            Ok(status)
        }
        Ok(Told::Released) => Err(ScuError::Released { doing: DOING, called: called() }),
        Ok(Told::Interrupted(_, command)) => {
            let what = format!("a {:?} instead of its response", command.field);
            Err(ScuError::Unexpected { doing: DOING, called: called(), what })
        }
        Err(source) => Err(ScuError::Broken { doing: DOING, called: called(), source }),
    }
}

/// How telling a peer on an association ended.
pub enum Told {
    /// With its answer.
    Answered(Status),
    /// It released the association instead.
    Released,
    /// It sent a request instead, which has not been served.
    Interrupted(u8, Command),
}

/// Tells a peer on an association that is there and has nothing else to do.
pub async fn report_on(
    session: &mut Session,
    context: u8,
    report: &Report,
    limit: Duration,
) -> Result<Told, DimseError> {
    let Some(transfer) = session.association().context(context) else {
        return Err(DimseError::Unexpected { what: "a report on a context that is not there".into() });
    };
    let data = (report.data)(encoding_of(&transfer.transfer_syntax));
    // Any number will do: there is no other request of ours on this association.
    let request = Command::event_report_rq(1, report.class, report.instance, report.event);
    session.send(context, &request, Some(&data), limit).await?;
    let answer = tokio::time::timeout(limit, session.receive(FOR_EVER)).await;
    let answer =
        answer.map_err(|_| DimseError::Unexpected { what: format!("no answer to the {DOING} in {limit:?}") })?;
    Ok(match answer? {
        None => Told::Released,
        Some((_, response)) if response.field == CommandField::NEventReportRsp => {
            if response.has_data_set {
                session.discard_data(limit).await?;
            }
            Told::Answered(response.status.unwrap_or(Status::SUCCESS))
        }
        Some((context, command)) => Told::Interrupted(context, command),
    })
}
