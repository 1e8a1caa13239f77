//! Sending on an association.

use std::io;
use std::time::Duration;

use super::{Association, Outgoing, State};
use crate::assoc::AssocError;
use crate::assoc::outgoing::Message;

impl Association {
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

    /// Sends messages on one context, each a command set and a data set, in one write: many small answers would
    /// otherwise cost a system call, and a packet, each. The caller bounds how many. Otherwise as [`Association::send`].
    pub async fn send_all<'a>(
        &mut self,
        context: u8,
        messages: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        limit: Duration,
    ) -> Result<(), AssocError> {
        self.check_idle(context)?;
        let mut batch = Message::new();
        for (command, data) in messages {
            batch.push(context, true, command, true, self.fragment);
            batch.push(context, false, data, true, self.fragment);
        }
        self.write(batch, None, limit).await.map(|_| ())
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
}
