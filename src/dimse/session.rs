//! Messages on an association.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{Command, CommandField, DimseError, LONGEST_COMMAND};
use crate::assoc::{Association, Received};

/// An association, seen as messages. Dropping it aborts the association.
#[derive(Debug)]
pub struct Session {
    association: Association,
    /// The command set that has begun to arrive, and its presentation context.
    begun: Option<(u8, BytesMut)>,
    /// The presentation context on which a data set is due.
    due: Option<u8>,
    /// The longest command set that is taken.
    longest_command: usize,
    /// A message, or the release, that was received and put back.
    returned: Option<Box<Option<(u8, Command)>>>,
}

impl Session {
    /// Takes an association before its first message.
    pub fn new(association: Association) -> Self {
        Session { association, begun: None, due: None, longest_command: LONGEST_COMMAND, returned: None }
    }

    /// Takes command sets of so many bytes at most, instead of [`LONGEST_COMMAND`].
    pub fn limit_commands(&mut self, longest: usize) {
        self.longest_command = longest.min(LONGEST_COMMAND);
    }

    /// The association.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// The association, to set its throttle or to stream a message out.
    pub fn association_mut(&mut self) -> &mut Association {
        &mut self.association
    }

    /// Sends a message. `command.has_data_set` must say whether there is `data`.
    pub async fn send(
        &mut self,
        context: u8,
        command: &Command,
        data: Option<&[u8]>,
        limit: Duration,
    ) -> Result<(), DimseError> {
        if command.has_data_set != data.is_some() {
            return Err(unexpected(format!(
                "the {:?} to be sent and its data set contradict each other",
                command.field
            )));
        }
        Ok(self.association.send(context, &command.encode(), data, limit).await?)
    }

    /// The next command set and its presentation context; `None` when the peer asked for release, and got it. When
    /// it `has_data_set`, that has to be read, by [`Session::read_data`] to its end, before the next. Cancel-safe;
    /// a timeout leaves the session good.
    pub async fn receive(&mut self, limit: Duration) -> Result<Option<(u8, Command)>, DimseError> {
        if self.due.is_some() {
            return Err(unexpected("the next message was asked for before the data set of this one was read"));
        }
        if let Some(returned) = self.returned.take() {
            self.due =
                returned.as_ref().as_ref().filter(|(_, command)| command.has_data_set).map(|(context, _)| *context);
            return Ok(*returned);
        }
        let end = Deadline::after(limit);
        loop {
            let (context, last, data) = match self.association.receive(end.left()).await? {
                Received::Released if self.begun.is_none() => return Ok(None),
                Received::Released => {
                    return Err(unexpected("the peer asked for release in the middle of a command set"));
                }
                Received::Pdv { command: false, .. } => {
                    return Err(unexpected("a fragment of a data set came where a command set was due"));
                }
                Received::Pdv { context, last, data, .. } => (context, last, data),
            };
            let whole = match self.begun.take() {
                Some((begun, _)) if begun != context => {
                    return Err(unexpected(format!(
                        "a command set that began on presentation context {begun} went on on {context}"
                    )));
                }
                None if last => data,
                begun => {
                    let (_, mut bytes) = begun.unwrap_or_default();
                    self.check_command(bytes.len() + data.len())?;
                    bytes.extend_from_slice(&data);
                    if !last {
                        self.begun = Some((context, bytes));
                        continue;
                    }
                    bytes.freeze()
                }
            };
            self.check_command(whole.len())?;
            let command = Command::decode(&whole)?;
            self.due = command.has_data_set.then_some(context);
            return Ok(Some((context, command)));
        }
    }

    /// Puts back what [`Session::receive`] has just brought, for whoever receives next.
    pub fn put_back(&mut self, received: Option<(u8, Command)>) {
        self.due = None;
        self.returned = Some(Box::new(received));
    }

    /// Looks, without waiting, whether a C-CANCEL-RQ for the request with this Message ID has arrived. A cancel of
    /// something else is passed over. What else may not come in the middle of an operation is an error: another request,
    /// the release, the end of the association.
    pub async fn cancel_asked(&mut self, message_id: u16) -> Result<bool, DimseError> {
        loop {
            let Some(received) = at_once(self.receive(Duration::MAX)).await else { return Ok(false) };
            match received {
                Ok(Some((_, command))) if command.field == CommandField::CCancelRq => {
                    if command.has_data_set {
                        return Err(unexpected("a C-CANCEL-RQ that announces a data set"));
                    }
                    if command.message_id == message_id {
                        return Ok(true);
                    }
                }
                Ok(Some((_, command))) => {
                    return Err(unexpected(format!("a {:?} came in the middle of an operation", command.field)));
                }
                Ok(None) => return Err(unexpected("the peer asked for release in the middle of an operation")),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next fragment of the data set at hand, and whether it is the last; `None` after the last. Cancel-safe.
    /// The data set is whole only when a fragment was the last: a connection that closes before is an error.
    pub async fn read_data(&mut self, limit: Duration) -> Result<Option<(Bytes, bool)>, DimseError> {
        let Some(due) = self.due else { return Ok(None) };
        match self.association.receive(limit).await? {
            Received::Pdv { context, command: false, last, data } if context == due => {
                if last {
                    self.due = None;
                }
                Ok(Some((data, last)))
            }
            Received::Pdv { command: true, .. } => Err(unexpected("a command set came where a data set was due")),
            Received::Pdv { context, .. } => {
                Err(unexpected(format!("the data set that is due on presentation context {due} came on {context}")))
            }
            Received::Released => Err(unexpected("the peer asked for release where a data set was due")),
        }
    }

    /// The whole data set at hand, `max` bytes at most, within `limit` altogether. Not cancel-safe.
    pub async fn collect_data(&mut self, max: usize, limit: Duration) -> Result<Vec<u8>, DimseError> {
        let end = Deadline::after(limit);
        let mut whole = Vec::new();
        while let Some((data, last)) = self.read_data(end.left()).await? {
            if whole.len() + data.len() > max {
                return Err(DimseError::TooLong { what: "the data set of a message", limit: max });
            }
            whole.extend_from_slice(&data);
            if last {
                break;
            }
        }
        Ok(whole)
    }

    /// Reads the data set at hand to its end and drops it, each fragment within `limit`.
    pub async fn discard_data(&mut self, limit: Duration) -> Result<(), DimseError> {
        while self.read_data(limit).await?.is_some() {}
        Ok(())
    }

    fn check_command(&self, length: usize) -> Result<(), DimseError> {
        let limit = self.longest_command;
        if length > limit { Err(DimseError::TooLong { what: "a command set", limit }) } else { Ok(()) }
    }

    /// Ends the association in peace; see [`Association::release`].
    pub async fn release(self, limit: Duration) {
        self.association.release(limit).await;
    }

    /// Ends the association at once; see [`Association::abort`].
    pub async fn abort(self) {
        self.association.abort().await;
    }
}

/// What a future has already. A timer, be it one of no time at all, would wait for a millisecond, which is as long as
/// sending an object takes.
async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn unexpected(what: impl Into<String>) -> DimseError {
    DimseError::Unexpected { what: what.into() }
}

/// A point in time that may be too far away to have one.
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(limit: Duration) -> Self {
        Deadline(Instant::now().checked_add(limit))
    }

    fn left(&self) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}
