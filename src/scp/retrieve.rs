//! C-MOVE and C-GET as SCP.

use super::caller::Caller;
use super::exchange::answer;
use super::node::Services;
use crate::dicom::Status;
use crate::dimse::{Command, DimseError, Session};

/// Answers a request of this service.
pub(super) async fn serve(
    session: &mut Session,
    _services: &Services,
    _caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    answer(session, context, command, Status::UNRECOGNIZED_OPERATION).await
}
