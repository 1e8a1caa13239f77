//! C-GET: the objects go back over the association that asked for them, on the presentation contexts for which the
//! other side took the role of SCP.

use super::feed::{How, Next};
use super::run::{Ended, Run};
use crate::dimse::{DimseError, Session};
use crate::scp::refusal::Refusal;
use crate::scu::store::{SendError, send};

pub(super) async fn perform(session: &mut Session, run: &mut Run<'_>) -> Result<Ended, DimseError> {
    let transfers = session.association().contexts().to_vec();
    let asked = run.asked.command.message_id;
    let ids = run.selected.instances.iter().map(|(id, _)| *id).collect();
    let mut feed = run.feed(ids);
    loop {
        if let Some(stopping) = run.stopping() {
            return Ok(stopping);
        }
        if session.cancel_asked(asked).await? {
            return Ok(Ended::Cancelled);
        }
        let Next { instance, how } = match feed.next(&transfers).await {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(Ended::Done),
            Err(error) => return Ok(Ended::Refused(Refusal::catalog(&error))),
        };
        let mut cancelled = None;
        match how {
            How::NotAccepted => run.not_accepted(&instance),
            How::On(context, mut object) => {
                let request = run.request(&instance, None);
                match send(session, context, &request, &mut object, &mut cancelled).await {
                    Ok(answer) => run.answered(&instance, &answer),
                    Err(SendError::Object(error)) => run.unreadable(&instance, &error),
                    Err(SendError::Association(error)) => return Err(error),
                    Err(SendError::Torn(error)) => {
                        run.unreadable(&instance, &error);
                        // The only way to take back what was sent of it.
                        let what = "a file broke while it was sent, so that the association had to end".into();
                        return Err(DimseError::Unexpected { what });
                    }
                }
            }
        }
        if cancelled == Some(asked) {
            return Ok(Ended::Cancelled);
        }
        run.report(session).await?;
    }
}
