//! The peaceful end of an association (PS3.8 §7.2 and the states 7 to 12 of §9.2).

use std::io::IoSlice;
use std::time::Duration;

use super::{Association, Outgoing, State};
use crate::assoc::framer::Event;
use crate::assoc::{AssocError, pdu};

impl Association {
    /// Ends the association in peace. What the peer still sends is read and dropped; a peer that does not answer within
    /// `limit` is left: a failed release does no harm to work that is done.
    pub async fn release(mut self, limit: Duration) {
        if self.state != State::Established {
            return;
        }
        if !matches!(self.outgoing, Outgoing::Nothing) {
            return self.abort().await;
        }
        match tokio::time::timeout(limit, self.exchange_release()).await {
            Ok(Ok(())) => self.state = State::Over,
            Ok(Err(error)) => {
                tracing::debug!(assoc.id = self.id, error = &error as &dyn std::error::Error, "the release failed")
            }
            Err(_) => tracing::debug!(assoc.id = self.id, "the peer did not answer the A-RELEASE-RQ"),
        }
    }

    /// Asks for release and reads until it is granted.
    async fn exchange_release(&mut self) -> Result<(), AssocError> {
        let asking = |source| AssocError::Broken { doing: "asking for release", source };
        let no_limit = Duration::MAX;
        self.connection.write(&mut [IoSlice::new(&pdu::RELEASE_RQ)], no_limit).await.map_err(asking)?;
        let mut asked_too = false;
        loop {
            match self.event() {
                Ok(None) => {}
                // The last responses of a peer that had not seen our request yet.
                Ok(Some(Event::Pdv { .. })) => continue,
                Ok(Some(Event::ReleaseRq)) => {
                    // Both asked at once: the requestor answers first.
                    asked_too = true;
                    if self.requestor {
                        self.connection.write(&mut [IoSlice::new(&pdu::RELEASE_RP)], no_limit).await.map_err(asking)?;
                    }
                    continue;
                }
                Ok(Some(Event::ReleaseRp)) => {
                    if asked_too && !self.requestor {
                        self.connection.write(&mut [IoSlice::new(&pdu::RELEASE_RP)], no_limit).await.map_err(asking)?;
                    }
                    return Ok(());
                }
                Ok(Some(abort @ Event::Abort { .. })) => return self.received(abort).await.map(|_| ()),
                Err(violation) => return Err(self.refuse(violation).await),
            }
            let mut left = no_limit;
            if self.more(&mut left, "the A-RELEASE-RP").await? == 0 {
                // Some peers close instead of answering.
                return Ok(());
            }
        }
    }
}
