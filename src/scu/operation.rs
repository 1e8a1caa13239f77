//! One operation on an association, from its request to its final response: sending, reading, and what to do when
//! a wait ends before its time.

use bytes::Bytes;

use super::session::{Context, FOR_EVER};
use super::watch::{Trouble, Wake, Watch};
use super::{CANCEL_PATIENCE, ScuError, SourceSession};
use crate::dicom::AeTitle;
use crate::dimse::{Command, DimseError};

/// What came of a step; `Gone` after a cancel that was ignored: the association is aborted then.
pub(super) enum Step<T> {
    Got(T),
    Gone,
}

/// An operation that is running.
pub(super) struct Operation<'a> {
    pub(super) source: &'a mut SourceSession,
    pub(super) watch: Watch<'a>,
    pub(super) context: Context,
    doing: &'static str,
    message: u16,
}

impl<'a> Operation<'a> {
    /// Sends the request with its identifier.
    pub(super) async fn begin(
        source: &'a mut SourceSession,
        doing: &'static str,
        context: Context,
        mut request: Command,
        identifier: &[u8],
        watch: Watch<'a>,
    ) -> Result<Operation<'a>, ScuError> {
        let message = source.take()?;
        let mut operation = Operation { source, watch, context, doing, message };
        request.message_id = message;
        request.has_data_set = true;
        operation.send(context.id, &request, Some(identifier)).await?;
        Ok(operation)
    }

    /// The next message: its context and its command set.
    pub(super) async fn message(&mut self) -> Result<Step<(u8, Command)>, ScuError> {
        loop {
            match self.watch.wait(self.source.session()?.receive(FOR_EVER)).await {
                Wake::Got(Ok(Some(message))) => {
                    return Ok(Step::Got(message));
                }
                Wake::Got(Ok(None)) => {
                    self.source.hang_up().await;
                    return Err(ScuError::Released { doing: self.doing, called: self.called() });
                }
                Wake::Got(Err(error)) => return Err(self.broken(error).await),
                Wake::Not(trouble) => {
                    if !self.settle(trouble).await? {
                        return Ok(Step::Gone);
                    }
                }
            }
        }
    }

    /// The next fragment of the data set at hand, and whether it is the last.
    pub(super) async fn read(&mut self) -> Result<Step<(Bytes, bool)>, ScuError> {
        loop {
            match self.watch.wait(self.source.session()?.read_data(FOR_EVER)).await {
                Wake::Got(Ok(piece)) => {
                    return Ok(Step::Got(piece.unwrap_or((Bytes::new(), true))));
                }
                Wake::Got(Err(error)) => return Err(self.broken(error).await),
                Wake::Not(trouble) => {
                    if !self.settle(trouble).await? {
                        return Ok(Step::Gone);
                    }
                }
            }
        }
    }

    /// The identifier of a response; empty when it has none.
    pub(super) async fn identifier(&mut self, response: &Command, longest: usize) -> Result<Step<Vec<u8>>, ScuError> {
        let mut bytes = Vec::new();
        let mut open = response.has_data_set;
        while open {
            let Step::Got((data, last)) = self.read().await? else {
                return Ok(Step::Gone);
            };
            if bytes.len() + data.len() > longest {
                let error = DimseError::TooLong { what: "the identifier of a response", limit: longest };
                return Err(self.broken(error).await);
            }
            bytes.extend_from_slice(&data);
            open = !last;
        }
        Ok(Step::Got(bytes))
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, context: u8, command: &Command, data: Option<&[u8]>) -> Result<(), ScuError> {
        let limit = self.source.target().respond;
        match self.source.session()?.send(context, command, data, limit).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(error).await),
        }
    }

    /// Acts on the end of a wait: `true` when the wait goes on, since the source was only told to stop; `false` when
    /// it did not and the association is gone.
    pub(super) async fn settle(&mut self, trouble: Trouble) -> Result<bool, ScuError> {
        match trouble {
            Trouble::Cancel => {
                let request = Command::cancel_rq(self.message);
                let context = self.context.id;
                let told = self.source.session()?.send(context, &request, None, CANCEL_PATIENCE).await;
                // Told or not, nobody waits longer for it than for an answer.
                if told.is_err() {
                    self.source.hang_up().await;
                }
                Ok(told.is_ok())
            }
            Trouble::CancelIgnored => {
                self.source.hang_up().await;
                Ok(false)
            }
            Trouble::Idle | Trouble::TooSlow => {
                self.source.hang_up().await;
                let (doing, called, limit) = (self.doing, self.called(), self.watch.limit(trouble));
                Err(match trouble {
                    Trouble::Idle => ScuError::Idle { doing, called, limit },
                    _ => ScuError::TooSlow { doing, called, limit },
                })
            }
        }
    }

    /// Ends an association that broke.
    pub(super) async fn broken(&mut self, source: DimseError) -> ScuError {
        self.source.hang_up().await;
        ScuError::Broken { doing: self.doing, called: self.called(), source }
    }

    /// Ends an association on which something came that has no place there.
    pub(super) async fn unexpected(&mut self, what: String) -> ScuError {
        self.source.hang_up().await;
        ScuError::Unexpected { doing: self.doing, called: self.called(), what }
    }

    fn called(&self) -> AeTitle {
        self.source.target().called.clone()
    }
}
