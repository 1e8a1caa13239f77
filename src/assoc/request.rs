//! Associations that we open.

use super::{AssocError, Association, Proposal, RequestTimeouts};

/// Connects to a peer and negotiates.
pub async fn request(host: &str, port: u16, proposal: &Proposal, timeouts: &RequestTimeouts) -> Result<Association, AssocError> {
    let _ = (host, port, proposal, timeouts);
    todo!()
}
