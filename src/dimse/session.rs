//! Messages on an association.

use std::time::Duration;

use bytes::Bytes;

use super::{Command, DimseError};
use crate::assoc::Association;

/// An association, seen as messages. Dropping it aborts the association.
#[derive(Debug)]
pub struct Session {
    association: Association,
}

impl Session {
    /// Takes an association before its first message.
    pub fn new(association: Association) -> Self {
        Session { association }
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
    pub async fn send(&mut self, context: u8, command: &Command, data: Option<&[u8]>, limit: Duration) -> Result<(), DimseError> {
        let _ = (context, command, data, limit);
        todo!()
    }

    /// The next command set and its presentation context; `None` when the peer asked for release, and got it. When it `has_data_set`, that has to be read, by
    /// [`Session::read_data`] to its end, before the next. Cancel-safe; a timeout leaves the session good.
    pub async fn receive(&mut self, limit: Duration) -> Result<Option<(u8, Command)>, DimseError> {
        let _ = limit;
        todo!()
    }

    /// The next fragment of the data set at hand, and whether it is the last; `None` after the last. Cancel-safe. The data
    /// set is whole only when a fragment was the last: a connection that closes before is an error.
    pub async fn read_data(&mut self, limit: Duration) -> Result<Option<(Bytes, bool)>, DimseError> {
        let _ = limit;
        todo!()
    }

    /// The whole data set at hand, `max` bytes at most, within `limit` altogether.
    pub async fn collect_data(&mut self, max: usize, limit: Duration) -> Result<Vec<u8>, DimseError> {
        let _ = (max, limit);
        todo!()
    }

    /// Reads the data set at hand to its end and drops it, each fragment within `limit`.
    pub async fn discard_data(&mut self, limit: Duration) -> Result<(), DimseError> {
        let _ = limit;
        todo!()
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
