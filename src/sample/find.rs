//! C-FIND as a sample PACS answers it.

use std::sync::Arc;
use std::time::Duration;

use super::data_set::DataSet;
use super::log::Event;
use super::profile::{CancelPolicy, Cap, Profile};
use super::query::{Query, Unanswerable};
use super::session::{LONGEST_IDENTIFIER, MESSAGE, Next, is_timeout, lost, reply};
use super::shared::Shared;
use crate::dataset::Elements;
use crate::dicom::{Encoding, QueryLevel, Status, encoding_of, tags, uids};
use crate::dimse::{Command, CommandField, DimseError, Session};

/// How long a query that hangs does so at most.
const LONGEST_HANG: Duration = Duration::from_secs(3600);

/// Reads the identifier of a request.
pub(crate) async fn identifier(session: &mut Session, context: u8) -> Result<(Elements, Encoding), DimseError> {
    let syntax = session.association().context(context).map(|c| encoding_of(&c.transfer_syntax));
    let encoding = syntax.unwrap_or(Encoding::ImplicitLe);
    let bytes = session.collect_data(LONGEST_IDENTIFIER, MESSAGE).await?;
    // What was read before an error in it is what there is.
    Ok((Elements::read_lenient(&bytes, encoding).0, encoding))
}

/// Whether a C-CANCEL comes within the time. A peer that leaves is an error.
pub(crate) async fn cancelled_within(session: &mut Session, time: Duration) -> Result<bool, DimseError> {
    match session.receive(time).await {
        Ok(Some((_, command))) if command.field == CommandField::CCancelRq => Ok(true),
        Ok(Some(_)) => Err(DimseError::Unexpected { what: "a request before the response to the last one".to_owned() }),
        Ok(None) => Err(DimseError::Unexpected { what: "a release before the response".to_owned() }),
        Err(error) if is_timeout(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) async fn serve(session: &mut Session, context: u8, command: &Command, shared: &Arc<Shared>) -> Next {
    let id = session.association().id();
    let profile = shared.profile();
    let (keys, encoding) = match identifier(session, context).await {
        Ok(identifier) => identifier,
        Err(error) => return Next::Over(lost(&error)),
    };
    let level = keys.text(tags::QUERY_RETRIEVE_LEVEL).as_deref().and_then(QueryLevel::parse);
    let patient_root = command.class.as_ref().is_some_and(|class| class.as_str() == uids::PATIENT_ROOT_FIND);
    let decoded = keys.iter().map(|(tag, ..)| (tag, keys.text(tag).unwrap_or_default())).collect();
    shared.note(id, Event::Find { patient_root, level, keys: decoded });
    if profile.hangs_on.is_some_and(|tag| keys.text(tag).is_some()) {
        return hang(session, shared).await;
    }
    let rows = match level {
        Some(QueryLevel::Patient) if !patient_root => Err(Unanswerable("no such level in this model")),
        None => Err(Unanswerable("no level")),
        Some(level) => Query::new(level, &keys, &profile, shared.ae_title.as_str()).rows(shared),
    };
    let (status, sent, comment) = match rows {
        Err(Unanswerable(why)) => (Status::MISMATCH_REFUSED, 0, Some(why.to_owned())),
        Ok(rows) => {
            let (take, status) = cut(rows.len(), &profile);
            match send_rows(session, context, command, encoding, rows.get(..take).unwrap_or_default(), &profile, shared)
                .await
            {
                Ok(sent) if sent == take => (status, sent, None),
                Ok(sent) => (Status::CANCEL, sent, None),
                Err(error) => return Next::Over(lost(&error)),
            }
        }
    };
    shared.note(id, Event::FindEnded { status, rows: sent });
    let mut response = Command::response(command, status);
    response.comment = comment;
    reply(session, context, &response).await
}

/// How many rows are sent, and the status after them.
fn cut(rows: usize, profile: &Profile) -> (usize, Status) {
    match profile.cap {
        Cap::Silent(limit) => (rows.min(limit), Status::SUCCESS),
        Cap::RefusedBefore(limit) if rows > limit => (0, Status::OUT_OF_RESOURCES),
        Cap::RefusedAfter(limit) if rows > limit => (limit, Status::OUT_OF_RESOURCES),
        Cap::Cancelled(limit) if rows > limit => (limit, Status::CANCEL),
        _ => (rows, Status::SUCCESS),
    }
}

/// Sends the rows until they end or the peer cancels; how many were sent.
async fn send_rows(
    session: &mut Session,
    context: u8,
    request: &Command,
    encoding: Encoding,
    rows: &[DataSet],
    profile: &Profile,
    shared: &Shared,
) -> Result<usize, DimseError> {
    let mut response = Command::response(request, Status::PENDING);
    response.has_data_set = true;
    for (sent, row) in rows.iter().enumerate() {
        if cancelled_within(session, profile.row_pause).await? {
            shared.note(session.association().id(), Event::Cancel);
            if profile.cancel != CancelPolicy::Ignored {
                return Ok(sent);
            }
        }
        session.send(context, &response, Some(&row.encode(encoding).to_vec()), MESSAGE).await?;
    }
    Ok(rows.len())
}

/// Says nothing until the peer goes away.
async fn hang(session: &mut Session, shared: &Shared) -> Next {
    let id = session.association().id();
    loop {
        match cancelled_within(session, LONGEST_HANG).await {
            Ok(true) => shared.note(id, Event::Cancel),
            Ok(false) => return Next::Abort,
            Err(error) => return Next::Over(lost(&error)),
        }
    }
}
