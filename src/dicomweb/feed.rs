//! The objects of an answer as a stream: one after the other, the next ones already being read. An object that cannot be
//! read breaks the answer off, so that nobody takes what is there for everything.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Problem;
use super::find::PAGE;
use super::media::{DICOM, Wanted};
use super::{Caller, Site};
use crate::audit::{Transfers, Way};
use crate::catalog::{CatalogError, HeldInstance};
use crate::dataset::write_part10_head;
use crate::dicom::TransferSyntaxUid;
use crate::outlet::{Departing, OutletError, Piece};
use crate::scp::Leaving;

/// Objects that are read while another is sent.
const AHEAD: usize = 2;

/// An object that is being read, and the transfer syntax that it goes in.
type Opened = (HeldInstance, TransferSyntaxUid, Departing);

/// Objects on their way to an asker.
pub(super) struct Feed {
    site: Arc<Site>,
    wanted: Wanted,
    /// Between parts; `None` where one object comes alone.
    boundary: Option<String>,
    several: bool,
    ids: Vec<i64>,
    at: usize,
    page: VecDeque<HeldInstance>,
    opened: VecDeque<Opened>,
    current: Option<(HeldInstance, Departing)>,
    ended: bool,
    audit: Transfers,
    /// The retrieve log, where copies stay.
    leaving: Option<Leaving>,
    _turn: OwnedSemaphorePermit,
}

/// A piece as whoever sends it takes it.
struct Sent(Piece);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Why an answer breaks off.
type Broken = Box<dyn std::error::Error + Send + Sync>;

impl Feed {
    /// `known` are all of them, where they had to be looked at before.
    pub(super) fn new(
        site: &Arc<Site>,
        caller: &Caller,
        ids: Vec<i64>,
        known: Option<Vec<HeldInstance>>,
        wanted: Wanted,
        boundary: Option<String>,
        turn: OwnedSemaphorePermit,
    ) -> Feed {
        let keeps = caller.keeps(&site.config.borrow());
        let to = || site.departures.to(&format!("web:{}", caller.operator.name), false);
        Feed {
            site: Arc::clone(site),
            wanted,
            boundary,
            // What is known already need not be asked for.
            at: known.as_ref().map_or(0, |_| ids.len()),
            several: ids.len() > 1,
            ids,
            page: known.unwrap_or_default().into(),
            opened: VecDeque::new(),
            current: None,
            ended: false,
            audit: site.audit.transfers(Way::Out, caller.party(), None),
            leaving: keeps.then(to),
            _turn: turn,
        }
    }

    /// Waits until the first object is here: what is wrong with it is said before the answer begins.
    pub(super) async fn begin(&mut self) -> Result<(), Problem> {
        self.open().await?;
        if let Some(mut first) = self.opened.pop_front() {
            self.start(&mut first).await?;
            self.opened.push_front(first);
        }
        Ok(())
    }

    /// Waits until the first bytes of an object are here. One of several that cannot be decoded goes as it is held, which
    /// its part says: the others are not to be missed for its sake.
    async fn start(&self, (instance, syntax, departing): &mut Opened) -> Result<(), OutletError> {
        match departing.begin().await {
            Err(error @ OutletError::Decode { .. }) if self.boundary.is_some() && self.several => {
                tracing::warn!(
                    study.uid = %instance.study, error = &error as &dyn std::error::Error,
                    "an object that cannot be decoded is sent as it is held"
                );
                syntax.clone_from(&instance.transfer_syntax);
                *departing = self.site.outlet.open(instance.clone(), syntax);
                departing.begin().await
            }
            begun => begun,
        }
    }

    /// The answer breaks off.
    fn broken(&mut self, instance: &HeldInstance, error: OutletError) -> Broken {
        let study = &instance.study;
        self.audit.object(study.as_str(), instance.class.as_str(), Some("it could not be read"));
        self.site.meter.sent(0, 1);
        tracing::warn!(
            study.uid = %study, error = &error as &dyn std::error::Error, remedy = error.remedy(),
            "an answer was broken off: an object cannot be read"
        );
        Box::new(error)
    }

    /// The body of the answer.
    pub(super) fn body(self) -> Body {
        Body::from_stream(unfold(Some(self), async |feed| {
            let mut feed = feed?;
            match feed.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(feed))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some((instance, departing)) = &mut self.current {
                match departing.piece().await {
                    Ok(Some(piece)) => {
                        if piece.last {
                            self.taken();
                        }
                        return Ok(Some(Bytes::from_owner(Sent(piece))));
                    }
                    Ok(None) => self.taken(),
                    Err(error) => {
                        let instance = instance.clone();
                        return Err(self.broken(&instance, error));
                    }
                }
                if let Some(leaving) = &mut self.leaving {
                    leaving.tell_if_due().await;
                }
                continue;
            }
            self.open().await?;
            let Some(mut opened) = self.opened.pop_front() else {
                return Ok(self.end().await);
            };
            if let Err(error) = self.start(&mut opened).await {
                return Err(self.broken(&opened.0, error));
            }
            let (instance, syntax, departing) = opened;
            let head = self.head(&instance, &syntax);
            self.current = Some((instance, departing));
            return Ok(Some(head));
        }
    }

    /// The object at hand has been handed over.
    fn taken(&mut self) {
        if let Some((instance, _)) = self.current.take() {
            if let Some(leaving) = &mut self.leaving {
                leaving.taken(instance.shown);
            }
            self.audit.object(instance.study.as_str(), instance.class.as_str(), None);
            self.site.meter.sent(1, 0);
        }
    }

    /// What stands before a data set.
    fn head(&self, instance: &HeldInstance, syntax: &TransferSyntaxUid) -> Bytes {
        let file = write_part10_head(instance.class.as_str(), instance.instance.as_str(), syntax.as_str(), None);
        let Some(boundary) = &self.boundary else { return file.into() };
        let kind = header_text(syntax.as_str());
        let mut head =
            format!("\r\n--{boundary}\r\nContent-Type: {DICOM}; transfer-syntax={kind}\r\n\r\n").into_bytes();
        head.extend_from_slice(&file);
        head.into()
    }

    /// What stands behind the last.
    async fn end(&mut self) -> Option<Bytes> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.tell().await;
        }
        self.boundary.as_ref().map(|boundary| format!("\r\n--{boundary}--\r\n").into())
    }

    /// Has the next objects read.
    async fn open(&mut self) -> Result<(), CatalogError> {
        while self.opened.len() <= AHEAD {
            if self.page.is_empty() {
                let ids = self.ids.get(self.at..).unwrap_or_default();
                let ids = ids.get(..PAGE).unwrap_or(ids);
                if ids.is_empty() {
                    break;
                }
                self.page.extend(self.site.catalog.held(ids).await?);
                self.at += ids.len();
                continue;
            }
            let Some(instance) = self.page.pop_front() else { break };
            let held = instance.transfer_syntax.clone();
            // What is held in another syntax than it was a moment ago has no other choice.
            let syntax = self.wanted.choose(&held).unwrap_or(held);
            let departing = self.site.outlet.open(instance.clone(), &syntax);
            self.opened.push_back((instance, syntax, departing));
        }
        Ok(())
    }
}

/// A text of an object as it may stand in a header.
pub(super) fn header_text(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect()
}
