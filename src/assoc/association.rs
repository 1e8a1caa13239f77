//! An association after its negotiation, whichever side began it.

mod release;
mod sending;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, ReadBuffer};
use super::error::abort_text;
use super::framer::{Event, Framer, PART, UNEXPECTED_PARAMETER, UNEXPECTED_PDU, Violation};
use super::outgoing::{Message, fragment_length};
use super::{AssocError, PDU_PATIENCE, Peer, Received, Throttle, Transfer, pdu};
use crate::dicom::Uid;

/// What [`Association::receive`] waited for, when nothing came.
pub const NEXT_MESSAGE: &str = "the peer's next message";
/// What [`Association::receive`] waited for, when the peer left a PDU unfinished.
pub const REST_OF_PDU: &str = "the rest of a PDU that the peer began";

/// An association. Dropping it sends an A-ABORT; [`Association::release`] ends it in peace.
#[derive(Debug)]
pub struct Association {
    id: u64,
    peer: Peer,
    contexts: Vec<Transfer>,
    extended: Vec<(Uid, Vec<u8>)>,
    connection: Connection,
    buffer: ReadBuffer,
    framer: Framer,
    state: State,
    /// We opened it.
    requestor: bool,
    /// The longest fragment that we send.
    fragment: usize,
    outgoing: Outgoing,
    patience: Patience,
    said_oversized: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Established,
    /// The peer asked for release and got it.
    Released,
    /// Aborted by one side, or broken.
    Over,
}

/// What we are sending.
#[derive(Debug)]
enum Outgoing {
    Nothing,
    /// In the middle of a write: whether a PDU went out as a whole is not known.
    Writing,
    /// Between the pieces of a message: what waits for the next piece.
    Streaming {
        context: u8,
        held: Message,
    },
}

/// What is left of the time for the PDU at hand.
#[derive(Debug)]
struct Patience {
    whole: Duration,
    left: Duration,
    /// Which PDU it is for.
    pdu: u64,
}

impl Association {
    pub(super) fn new(
        connection: Connection,
        rest: &[u8],
        peer: Peer,
        contexts: Vec<Transfer>,
        announced: u32,
        requestor: bool,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Association {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            fragment: fragment_length(peer.max_pdu),
            peer,
            contexts,
            extended: Vec::new(),
            connection,
            buffer: ReadBuffer::new(rest),
            framer: Framer::new(announced),
            state: State::Established,
            requestor,
            outgoing: Outgoing::Nothing,
            patience: Patience { whole: PDU_PATIENCE, left: PDU_PATIENCE, pdu: 0 },
            said_oversized: false,
        }
    }

    /// What was agreed by SOP Class Extended Negotiation: SOP class and the acceptor's application information.
    pub(super) fn with_extended(mut self, extended: Vec<(Uid, Vec<u8>)>) -> Self {
        self.extended = extended;
        self
    }

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

    /// The acceptor's application information for this SOP class, where extended negotiation took place.
    pub fn extended(&self, class: &str) -> Option<&[u8]> {
        self.extended.iter().find(|(known, _)| known.as_str() == class).map(|(_, information)| information.as_slice())
    }

    /// Limits how fast is read from the peer; may be shared with other associations and changed at any time.
    pub fn set_throttle(&mut self, throttle: Option<Arc<Throttle>>) {
        self.connection.throttle = throttle;
    }

    /// How long the peer may take over the rest of a PDU, instead of [`PDU_PATIENCE`].
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = Patience { whole: patience, left: patience, pdu: self.patience.pdu };
    }

    /// The next fragment, or the end. Cancel-safe: dropping the future loses nothing. [`AssocError::Timeout`] when
    /// nothing came within `limit`, waits for the throttle not counted: the association is still good then, and one
    /// may go on waiting, unless the peer left a PDU unfinished for longer than [`PDU_PATIENCE`]. Every other error
    /// is its end.
    pub async fn receive(&mut self, limit: Duration) -> Result<Received, AssocError> {
        match self.state {
            State::Established => {}
            State::Released => return Ok(Received::Released),
            State::Over => return Err(AssocError::Closed),
        }
        let mut left = limit;
        loop {
            match self.event() {
                Ok(None) => {}
                Ok(Some(event)) => return self.received(event).await,
                Err(violation) => return Err(self.refuse(violation).await),
            }
            if self.more(&mut left, NEXT_MESSAGE).await? == 0 {
                self.state = State::Over;
                return Err(AssocError::Closed);
            }
        }
    }

    /// Ends the association at once by an A-ABORT; takes half a second at most.
    pub async fn abort(mut self) {
        let speakable = self.state == State::Established && !matches!(self.outgoing, Outgoing::Writing);
        self.state = State::Over;
        if speakable {
            self.connection.farewell(&pdu::USER_ABORT).await;
        }
    }

    /// The next event in what was read, as far as it can be taken now.
    fn event(&mut self) -> Result<Option<Event>, Violation> {
        let event = match self.framer.next(self.buffer.bytes(), PART)? {
            // Taking what is here is cheaper than moving it into the next buffer.
            None if self.buffer.is_spent() => self.framer.next(self.buffer.bytes(), 1)?,
            event => event,
        };
        if let Some(length) = self.framer.oversized()
            && !self.said_oversized
        {
            self.said_oversized = true;
            let address = self.peer.address;
            tracing::warn!(assoc.id = self.id, peer.address = %address, length, "PDUs are longer than announced");
        }
        if let Some(Event::Pdv { context, .. }) = &event
            && self.context(*context).is_none()
        {
            let what = format!("it sent a fragment on presentation context {context}, which was not accepted");
            return Err(Violation { reason: UNEXPECTED_PARAMETER, what });
        }
        Ok(event)
    }

    async fn received(&mut self, event: Event) -> Result<Received, AssocError> {
        match event {
            Event::Pdv { context, command, last, data } => Ok(Received::Pdv { context, command, last, data }),
            Event::ReleaseRq => {
                // From here on the future may be dropped: the answer is ten bytes, which the system takes at once.
                self.state = State::Released;
                if let Err(error) = self.connection.write_now(&pdu::RELEASE_RP) {
                    tracing::debug!(assoc.id = self.id, %error, "the A-RELEASE-RP was not sent");
                }
                Ok(Received::Released)
            }
            Event::Abort { source, reason } => {
                self.state = State::Over;
                Err(AssocError::Aborted { by_provider: source != 0, reason, text: abort_text(source, reason) })
            }
            Event::ReleaseRp => {
                let what = "it sent an A-RELEASE-RP that nobody asked for".into();
                Err(self.refuse(Violation { reason: UNEXPECTED_PDU, what }).await)
            }
        }
    }

    /// Reads once more, within `left`, which is shortened by the wait. 0 is the end of the connection.
    async fn more(&mut self, left: &mut Duration, what: &'static str) -> Result<usize, AssocError> {
        self.connection.throttled().await;
        let inside = self.framer.is_inside(self.buffer.bytes());
        if !inside || self.patience.pdu != self.framer.begun() {
            self.patience.left = self.patience.whole;
            self.patience.pdu = self.framer.begun();
        }
        let wait = if inside { self.patience.left.min(*left) } else { *left };
        let read = {
            let _spent = Spent { since: Instant::now(), left, patience: inside.then_some(&mut self.patience) };
            tokio::time::timeout(wait, self.connection.read(self.buffer.with_room())).await
        };
        match read {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(source)) => {
                self.state = State::Over;
                Err(AssocError::Broken { doing: "reading from the peer", source })
            }
            Err(_) if inside && self.patience.left.is_zero() => {
                let _ = self.refuse(Violation { reason: 0, what: String::new() }).await;
                Err(AssocError::Timeout { what: REST_OF_PDU })
            }
            Err(_) => Err(AssocError::Timeout { what }),
        }
    }

    /// Answers what the protocol does not allow with an A-ABORT, and makes the error of it.
    async fn refuse(&mut self, violation: Violation) -> AssocError {
        self.state = State::Over;
        if !matches!(self.outgoing, Outgoing::Writing) {
            self.connection.farewell(&pdu::provider_abort(violation.reason)).await;
        }
        AssocError::Protocol { what: violation.what }
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        if self.state == State::Established && !matches!(self.outgoing, Outgoing::Writing) {
            // Nobody is left to wait or to hear of an error: the peer sees the connection close in any case.
            let _ = self.connection.close_now(&pdu::USER_ABORT);
        }
    }
}

/// Takes a wait off what is left when it ends, however it ends.
struct Spent<'a> {
    since: Instant,
    left: &'a mut Duration,
    patience: Option<&'a mut Patience>,
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        let spent = self.since.elapsed();
        *self.left = self.left.saturating_sub(spent);
        if let Some(patience) = &mut self.patience {
            patience.left = patience.left.saturating_sub(spent);
        }
    }
}

#[cfg(test)]
mod tests;
