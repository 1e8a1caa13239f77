//! The objects of a retrieve, one after the other, the next ones already being read.

use std::collections::{HashMap, VecDeque};

use crate::assoc::Transfer;
use crate::catalog::{Catalog, CatalogError, HeldInstance};
use crate::dicom::TransferSyntaxUid;
use crate::outlet::{Departing, Outlet};
use crate::scu::store::choose;

/// Instances whose places are asked for at once.
const PAGE: usize = 256;
/// Objects that are read while another is sent: one more, so that small ones follow each other without a pause.
const AHEAD: usize = 2;

/// An object that is next.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) instance: HeldInstance,
    pub(super) how: How,
}

/// How it can be sent.
#[derive(Debug)]
pub(super) enum How {
    /// On this presentation context.
    On(u8, Departing),
    /// Not at all: the receiver takes it in no transfer syntax that it is held in or can be converted into.
    NotAccepted,
}

/// The instances of one association.
pub(super) struct Feed {
    catalog: Catalog,
    outlet: Outlet,
    ids: Vec<i64>,
    /// The first of these that is not on the page.
    at: usize,
    page: VecDeque<HeldInstance>,
    opened: VecDeque<Next>,
}

impl Feed {
    pub(super) fn new(catalog: Catalog, outlet: Outlet, ids: Vec<i64>) -> Feed {
        let (page, opened) = (VecDeque::new(), VecDeque::new());
        Feed { catalog, outlet, ids, at: 0, page, opened }
    }

    /// The next object, for an association with these presentation contexts.
    pub(super) async fn next(&mut self, transfers: &[Transfer]) -> Result<Option<Next>, CatalogError> {
        while self.opened.len() <= AHEAD {
            let Some(instance) = self.instance().await? else { break };
            let chosen = choose(transfers, &instance.class, &instance.transfer_syntax, self.outlet.decodes());
            let how = match chosen {
                Some((context, syntax)) => How::On(context, self.open(&instance, &syntax)),
                None => How::NotAccepted,
            };
            self.opened.push_back(Next { instance, how });
        }
        Ok(self.opened.pop_front())
    }

    /// What comes next is opened again, for another association.
    pub(super) fn reopen(&mut self) {
        for next in self.opened.drain(..).rev() {
            self.page.push_front(next.instance);
        }
    }

    /// The next instance, which is not going to be sent.
    pub(super) async fn skip(&mut self) -> Result<Option<HeldInstance>, CatalogError> {
        self.reopen();
        self.instance().await
    }

    fn open(&self, instance: &HeldInstance, syntax: &TransferSyntaxUid) -> Departing {
        self.outlet.open(instance.clone(), syntax)
    }

    async fn instance(&mut self) -> Result<Option<HeldInstance>, CatalogError> {
        while self.page.is_empty() {
            let ids = self.ids.get(self.at..).unwrap_or_default();
            let ids = ids.get(..PAGE).unwrap_or(ids);
            if ids.is_empty() {
                return Ok(None);
            }
            let held = self.catalog.held(ids).await?;
            self.at += ids.len();
            self.page.extend(held);
        }
        Ok(self.page.pop_front())
    }
}

/// The numbers of the instances of each plan, in their order.
pub(super) fn spread(instances: &[(i64, usize)], plans: &[Vec<usize>]) -> Vec<Vec<i64>> {
    if let [_] = plans {
        return vec![instances.iter().map(|(id, _)| *id).collect()];
    }
    let mut of_kind = HashMap::new();
    for (plan, kinds) in plans.iter().enumerate() {
        of_kind.extend(kinds.iter().map(|kind| (*kind, plan)));
    }
    let mut spread = vec![Vec::new(); plans.len()];
    for (id, kind) in instances {
        if let Some(list) = of_kind.get(kind).and_then(|plan| spread.get_mut(*plan)) {
            list.push(*id);
        }
    }
    spread
}
