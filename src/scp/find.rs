//! C-FIND as SCP (PS3.4 §C.4.1): Patient Root and Study Root, every level, hierarchical or relational.
//!
//! Answers are read from the catalog a page at a time and written in one go, so that memory does not grow with their
//! number and nothing of the catalog is held while the peer is written to. Between two pages a C-CANCEL is looked for.

mod answer;
mod extension;
mod request;

use std::sync::Arc;
use std::time::Instant;

use tracing::{error, info, warn};

use super::caller::Caller;
use super::exchange::{self, RESPONSE};
use super::node::Services;
use super::refusal::Refusal;
use crate::audit::{AuditEvent, AuditOutcome};
use crate::config::Config;
use crate::dataset::Bounds;
use crate::dicom::{Encoding, QueryLevel, Status, encoding_of};
use crate::dimse::{Command, DimseError, Session};
use answer::Template;
use extension::Agreed;
use request::Request;

pub(super) use extension::answer as negotiate;

/// How many answers are read, and written, at once; the first page is short, so that a person sees something soon.
const FIRST_PAGE: usize = 25;
const PAGE: usize = 250;

/// How a query ended.
struct Ended {
    level: QueryLevel,
    status: Status,
    comment: Option<String>,
    answers: usize,
}

/// Answers a query.
pub(super) async fn serve(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    let begun = Instant::now();
    let config = services.config.borrow().clone();
    let identifier = exchange::identifier(session, command, &config.node.limits).await?;
    let understood = understand(session, &config, context, &identifier);
    tell_audit(session, services, caller, context, &identifier, understood.as_ref().err());
    let ended = match understood {
        Ok((request, encoding)) => {
            let find = Find { services, caller, config: &config, context, command };
            find.answer(session, request, encoding).await?
        }
        Err(refusal) => {
            warn!(
                peer.ae = %caller.ae_title, status = %refusal.status, comment = refusal.comment,
                offending = ?refusal.offending, "refused a query"
            );
            return session.send(context, &refusal.response(command), None, RESPONSE).await;
        }
    };
    info!(
        peer.ae = %caller.ae_title, level = %ended.level, answers = ended.answers, status = %ended.status,
        duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "answered a query"
    );
    let mut response = Command::response(command, ended.status);
    response.comment = ended.comment;
    session.send(context, &response, None, RESPONSE).await
}

/// That it was asked is told, whatever is answered.
fn tell_audit(
    session: &Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    identifier: &[u8],
    refusal: Option<&Refusal>,
) {
    let transfer = session.association().context(context);
    let class = transfer.map_or("", |transfer| transfer.abstract_syntax.as_str());
    let syntax = transfer.map_or("", |transfer| transfer.transfer_syntax.as_str());
    let outcome = refusal.map_or(AuditOutcome::Success, |refusal| AuditOutcome::Minor(refusal.comment.clone()));
    services.audit.record(AuditEvent::query(caller.party(), class, identifier, syntax, outcome));
}

/// What is asked for, and how identifiers are encoded.
fn understand(
    session: &Session,
    config: &Config,
    context: u8,
    identifier: &[u8],
) -> Result<(Request, Encoding), Refusal> {
    let association = session.association();
    let Some(transfer) = association.context(context) else {
        return Err(Refusal::new(Status::CANNOT_UNDERSTAND, "a query on a context that is not there"));
    };
    let (class, encoding) = (transfer.abstract_syntax.as_str(), encoding_of(&transfer.transfer_syntax));
    let limits = &config.node.limits;
    let bounds = Bounds { value: limits.value, nesting: limits.nesting };
    let agreed = Agreed::of(association.extended(class));
    Ok((request::read(class, identifier, encoding, bounds, agreed, config.node.union)?, encoding))
}

/// A query that is being answered.
struct Find<'a> {
    services: &'a Services,
    caller: &'a Caller,
    config: &'a Config,
    context: u8,
    command: &'a Command,
}

impl Find<'_> {
    /// Sends the answers; the last response is the caller's.
    async fn answer(&self, session: &mut Session, request: Request, encoding: Encoding) -> Result<Ended, DimseError> {
        let template = Template::of(&request, encoding, self.config.node.ae_title.as_str());
        let status = if request.unmatched { Status::PENDING_UNSUPPORTED_KEYS } else { Status::PENDING };
        let pending = Command { has_data_set: true, ..Command::response(self.command, status) }.encode();
        let level = request.level;
        let query = Arc::new(request.query);
        let (mut answers, mut from, mut room) = (0, None, FIRST_PAGE);
        let end = |status, comment: Option<String>, answers| Ok(Ended { level, status, comment, answers });
        loop {
            if session.cancel_asked(self.command.message_id).await? {
                return end(Status::CANCEL, None, answers);
            }
            if self.caller.stop.is_cancelled() {
                return end(Status::OUT_OF_RESOURCES, Some("the node stops; ask again".into()), answers);
            }
            let page = match self.services.catalog.search(&query, from, room).await {
                Ok(page) => page,
                Err(failure) => {
                    error!(
                        peer.ae = %self.caller.ae_title, error = &failure as &dyn std::error::Error,
                        "a query could not be answered"
                    );
                    return end(Status::UNABLE_TO_PROCESS, Some("the catalog cannot be read now".into()), answers);
                }
            };
            let left = self.config.node.find_limit.map_or(usize::MAX, |limit| limit - answers);
            let data: Vec<Vec<u8>> = page.rows.iter().take(left).map(|row| template.write(row)).collect();
            if !data.is_empty() {
                let messages = data.iter().map(|data| (pending.as_slice(), data.as_slice()));
                session.association_mut().send_all(self.context, messages, RESPONSE).await?;
            }
            answers += data.len();
            if page.rows.len() > left {
                let comment = format!("more than {answers} match; narrow the keys");
                return end(Status::OUT_OF_RESOURCES, Some(comment), answers);
            }
            (from, room) = (page.next, PAGE);
            if from.is_none() {
                break;
            }
        }
        if !self.config.node.union {
            return end(Status::SUCCESS, None, answers);
        }
        // What is only on a source is asked of it.
        let rows = match self.services.beyond.answers(&query).await {
            Ok(rows) => rows,
            Err(failure) => {
                warn!(
                    peer.ae = %self.caller.ae_title, error = &failure as &dyn std::error::Error,
                    "a query of a study that is not filed could not be answered"
                );
                return end(Status::UNABLE_TO_PROCESS, Some(failure.to_string()), answers);
            }
        };
        let left = self.config.node.find_limit.map_or(usize::MAX, |limit| limit - answers);
        for row in rows.iter().take(left) {
            let data = template.write(row);
            let message = std::iter::once((pending.as_slice(), data.as_slice()));
            session.association_mut().send_all(self.context, message, RESPONSE).await?;
            answers += 1;
        }
        match rows.len() > left {
            true => end(Status::OUT_OF_RESOURCES, Some(format!("more than {answers} match; narrow the keys")), answers),
            false => end(Status::SUCCESS, None, answers),
        }
    }
}
