//! An association after its negotiation, whichever side began it.

use std::sync::Arc;
use std::time::Duration;

use super::{AssocError, Peer, Received, Throttle, Transfer};

/// An association. Dropping it sends an A-ABORT; [`Association::release`] ends it in peace.
#[derive(Debug)]
pub struct Association {
    id: u64,
    peer: Peer,
    contexts: Vec<Transfer>,
}

impl Association {
    /// A number that no other association of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The presentation contexts that were accepted.
    pub fn contexts(&self) -> &[Transfer] {
        &self.contexts
    }

    /// The accepted presentation context with this id.
    pub fn context(&self, id: u8) -> Option<&Transfer> {
        self.contexts.iter().find(|c| c.id == id)
    }

    /// The first accepted presentation context for this abstract syntax.
    pub fn context_for(&self, abstract_syntax: &str) -> Option<&Transfer> {
        self.contexts.iter().find(|c| c.abstract_syntax.as_str() == abstract_syntax)
    }

    /// Limits how fast is read from the peer; may be shared with other associations and changed at any time.
    pub fn set_throttle(&mut self, throttle: Option<Arc<Throttle>>) {
        let _ = throttle;
        todo!()
    }

    /// The next fragment, or the end. Cancel-safe: dropping the future loses nothing. [`AssocError::Timeout`] when nothing
    /// whole came within `limit`: the association is still good then, and one may go on waiting, unless the peer
    /// left a PDU unfinished for longer than [`super::PDU_PATIENCE`]. Every other error is the end of the association.
    pub async fn receive(&mut self, limit: Duration) -> Result<Received, AssocError> {
        let _ = limit;
        todo!()
    }

    /// Sends a message: command set and data set in one write where they fit. Not cancel-safe: an association whose `send` was
    /// dropped half way, or failed, is only good for dropping.
    pub async fn send(&mut self, context: u8, command: &[u8], data: Option<&[u8]>, limit: Duration) -> Result<(), AssocError> {
        let _ = (context, command, data, limit);
        todo!()
    }

    /// Begins a message whose data set follows by [`Association::send_data`]; the command set goes out with its first piece.
    pub async fn send_command(&mut self, context: u8, command: &[u8], limit: Duration) -> Result<(), AssocError> {
        let _ = (context, command, limit);
        todo!()
    }

    /// Sends a piece of a data set, of any length. `last` ends the data set; an association that is dropped before it is
    /// aborted, so that the peer never takes a part for the whole.
    pub async fn send_data(&mut self, context: u8, piece: &[u8], last: bool, limit: Duration) -> Result<(), AssocError> {
        let _ = (context, piece, last, limit);
        todo!()
    }

    /// Ends the association in peace. What the peer still sends is read and dropped; a peer that does not answer within `limit` is
    /// left: a failed release does no harm to work that is done.
    pub async fn release(self, limit: Duration) {
        let _ = limit;
        todo!()
    }

    /// Ends the association at once by an A-ABORT; takes half a second at most.
    pub async fn abort(self) {
        todo!()
    }
}
