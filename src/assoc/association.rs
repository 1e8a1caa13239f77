//! An association after its negotiation, whichever side began it.

mod release;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, ReadBuffer};
use super::error::abort_text;
use super::framer::{Event, Framer, PART, UNEXPECTED_PARAMETER, UNEXPECTED_PDU, Violation};
use super::outgoing::{Message, fragment_length};
use super::{AssocError, PDU_PATIENCE, Peer, Received, Throttle, Transfer, pdu};

/// An association. Dropping it sends an A-ABORT; [`Association::release`] ends it in peace.
#[derive(Debug)]
pub struct Association {
    id: u64,
    peer: Peer,
    contexts: Vec<Transfer>,
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
        self.connection.throttle = throttle;
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
            if self.more(&mut left, "the peer's next message").await? == 0 {
                self.state = State::Over;
                return Err(AssocError::Closed);
            }
        }
    }

    /// Sends a message: command set and data set in one write where they fit. `limit` is for how long the peer may
    /// take nothing. Not cancel-safe: an association whose `send` was dropped half way, or failed, is only good for
    /// dropping.
    pub async fn send(
        &mut self,
        context: u8,
        command: &[u8],
        data: Option<&[u8]>,
        limit: Duration,
    ) -> Result<(), AssocError> {
        self.check_idle(context)?;
        let mut message = Message::new();
        message.push(context, true, command, true, self.fragment);
        match data {
            None => self.write(message, None, limit).await.map(|_| ()),
            Some(data) => self.write(message, Some((context, data, true)), limit).await.map(|_| ()),
        }
    }

    /// Begins a message whose data set follows by [`Association::send_data`]; the command set goes out with its
    /// first piece.
    pub async fn send_command(&mut self, context: u8, command: &[u8], _limit: Duration) -> Result<(), AssocError> {
        self.check_idle(context)?;
        let mut held = Message::new();
        held.push(context, true, command, true, self.fragment);
        self.outgoing = Outgoing::Streaming { context, held };
        Ok(())
    }

    /// Sends a piece of a data set, of any length. `last` ends the data set; an association that is dropped before
    /// it is aborted, so that the peer never takes a part for the whole. Not cancel-safe.
    pub async fn send_data(
        &mut self,
        context: u8,
        piece: &[u8],
        last: bool,
        limit: Duration,
    ) -> Result<(), AssocError> {
        self.check_established()?;
        match std::mem::replace(&mut self.outgoing, Outgoing::Nothing) {
            Outgoing::Streaming { context: begun, held } if begun == context => {
                let held = self.write(held, Some((context, piece, last)), limit).await?;
                if !last {
                    self.outgoing = Outgoing::Streaming { context, held };
                }
                Ok(())
            }
            other => {
                self.outgoing = other;
                Err(AssocError::Unspeakable {
                    what: format!("a data set on presentation context {context}, where no command set went before"),
                })
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

    fn check_established(&self) -> Result<(), AssocError> {
        match (self.state, &self.outgoing) {
            (State::Established, Outgoing::Writing) => {
                Err(AssocError::Unspeakable { what: "another message after one that was given up half way".into() })
            }
            (State::Established, _) => Ok(()),
            (State::Released | State::Over, _) => Err(AssocError::Closed),
        }
    }

    fn check_idle(&self, context: u8) -> Result<(), AssocError> {
        self.check_established()?;
        if matches!(self.outgoing, Outgoing::Streaming { .. }) {
            return Err(AssocError::Unspeakable { what: "a message inside the data set of another".into() });
        }
        match self.context(context) {
            Some(_) => Ok(()),
            None => Err(AssocError::Unspeakable {
                what: format!("a message on presentation context {context}, which was not accepted"),
            }),
        }
    }

    /// Writes what was held and the fragments of `data`: context, bytes, whether they are the last. Returns what is
    /// held back.
    async fn write(
        &mut self,
        mut message: Message,
        data: Option<(u8, &[u8], bool)>,
        limit: Duration,
    ) -> Result<Message, AssocError> {
        self.outgoing = Outgoing::Writing;
        let result = match data {
            None => message.write(&mut self.connection, limit).await,
            Some((context, data, last)) => {
                message.write_data(&mut self.connection, context, data, last, self.fragment, limit).await
            }
        };
        match result {
            Ok(()) => {
                self.outgoing = Outgoing::Nothing;
                Ok(message)
            }
            Err(error) => {
                self.state = State::Over;
                Err(match error.kind() {
                    io::ErrorKind::TimedOut => AssocError::Timeout { what: "the peer to take what we send" },
                    _ => AssocError::Broken { doing: "sending to the peer", source: error },
                })
            }
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
                Err(AssocError::Timeout { what: "the rest of a PDU that the peer began" })
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
            let _ = self.connection.write_now(&pdu::USER_ABORT);
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
