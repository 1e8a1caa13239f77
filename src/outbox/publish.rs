//! Sending a node what was corrected: the rejection note first, then the objects as they are now. A node that is away gets
//! them when it is back; what it does not take is tried a few times, and then told to people.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Again, Outbox, Verdict, chain};
use crate::assoc::Proposed;
use crate::audit::{Party, Transfers, Way};
use crate::catalog::{CatalogError, HeldInstance, Left, OutboxEntry, Published, ShownAs};
use crate::config::{Config, Peer};
use crate::dicom::{Category, SopClassUid, TransferSyntaxUid};
use crate::dimse::{Command, Session};
use crate::scu::store::{self, SendError};
use crate::scu::{ScuError, Target};

/// Objects of one association.
const PAGE: usize = 200;
/// How often objects are tried that the node does not take.
const ATTEMPTS: u32 = 5;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the negotiation, and letting us go, may take.
const RESPOND: Duration = Duration::from_secs(30);
/// Lines of the log about what one node does not take.
const MOST_LINES: usize = 20;

/// Why not all of a page could be tried.
enum Halt {
    Catalog(CatalogError),
    /// There is no association to be had.
    Unreachable(ScuError),
    /// It broke.
    Broken(SendError),
    /// The process is to stop.
    Stopped,
}

/// Objects on their way to one node.
struct Delivery<'a> {
    outbox: &'a Outbox,
    target: Target,
    audit: Transfers,
    stop: &'a CancellationToken,
    message: u16,
    lines: usize,
    /// What the node said of the last object that it did not take.
    why: String,
}

impl Outbox {
    /// One attempt to send what is still missing.
    pub(super) async fn publish(
        &self,
        config: &Config,
        entry: &OutboxEntry,
        peer: &str,
        stop: &CancellationToken,
    ) -> Result<Verdict, CatalogError> {
        let Some(peer) = config.peers.iter().find(|known| known.is_called(peer)) else {
            let what =
                format!("no [[peer]] is called {peer} any more; add it with corrections = true, and try it again");
            return Ok(Verdict::Refused(what));
        };
        if !peer.corrections {
            let what = format!("the [[peer]] {} has not corrections = true; set it, and try it again", peer.ae_title);
            return Ok(Verdict::Refused(what));
        }
        let objects = self.catalog.to_publish(entry.id).await?;
        let mut done = self.catalog.published(entry.id).await?;
        let mut delivery = Delivery::new(self, config, peer, stop);
        match delivery.perform(entry.id, &objects, &mut done).await {
            Ok(()) => {}
            Err(Halt::Catalog(error)) => return Err(error),
            Err(Halt::Stopped) => return Ok(Verdict::Stopped),
            Err(Halt::Unreachable(error)) => {
                return Ok(Verdict::Again(Again { detail: chain(&error), after: None, whoever: true }));
            }
            Err(Halt::Broken(error)) => {
                return Ok(Verdict::Again(Again { detail: chain(&error), after: None, whoever: false }));
            }
        }
        let Published { sent, refused, passes, .. } = done;
        if refused.is_empty() {
            return Ok(Verdict::Told(format!("it has taken {sent} objects")));
        }
        let detail = format!("it has not taken {} of {} objects: {}", refused.len(), objects.len(), delivery.why);
        Ok(match passes < ATTEMPTS {
            true => Verdict::Again(Again { detail, after: None, whoever: false }),
            false => Verdict::Refused(detail),
        })
    }
}

impl<'a> Delivery<'a> {
    fn new(outbox: &'a Outbox, config: &Config, peer: &Peer, stop: &'a CancellationToken) -> Self {
        let target = Target::of_peer(peer, config.node.ae_title.clone(), CONNECT, RESPOND);
        let name = peer.ae_title.to_string();
        let party = Party { name, address: peer.address.host.parse().ok(), ..Party::default() };
        let audit = outbox.audit.transfers(Way::Out, party, None);
        Delivery { outbox, target, audit, stop, message: 0, lines: 0, why: String::new() }
    }

    /// What was refused before, and then what has not been tried. How far it is is kept after each page: what an
    /// association that broke had taken is sent again.
    async fn perform(&mut self, id: i64, objects: &[i64], done: &mut Published) -> Result<(), Halt> {
        let catalog = &self.outbox.catalog;
        let before = std::mem::take(&mut done.refused);
        for page in before.chunks(PAGE) {
            // Until they are taken they remain among the refused, whatever happens meanwhile.
            let (sent, refused) = self.page(page).await?;
            done.sent += sent;
            done.refused.extend(refused);
        }
        let untried = objects.get(done.position..).unwrap_or_default();
        if !before.is_empty() {
            catalog.set_published(id, done).await.map_err(Halt::Catalog)?;
        }
        for page in untried.chunks(PAGE) {
            let (sent, refused) = self.page(page).await?;
            done.sent += sent;
            done.position += page.len();
            done.refused.extend(refused);
            catalog.set_published(id, done).await.map_err(Halt::Catalog)?;
        }
        done.passes += 1;
        catalog.set_published(id, done).await.map_err(Halt::Catalog)
    }

    /// Some objects: how many were taken, and which were not.
    async fn page(&mut self, ids: &[i64]) -> Result<(u64, Vec<i64>), Halt> {
        let catalog = self.outbox.catalog.clone();
        // What is not shown any more is nobody's business.
        let held = catalog.held(ids).await.map_err(Halt::Catalog)?;
        let held: Vec<HeldInstance> = held.into_iter().filter(|instance| !instance.study.is_empty()).collect();
        let mut kinds: Vec<(SopClassUid, TransferSyntaxUid)> = Vec::new();
        let mut of_kind = Vec::with_capacity(held.len());
        for instance in &held {
            let kind = (instance.class.clone(), instance.transfer_syntax.clone());
            of_kind.push(kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            }));
        }
        let mut taken: BTreeMap<ShownAs, (u64, i64, i64)> = BTreeMap::new();
        let mut refused = Vec::new();
        for plan in store::plan(&kinds, self.outbox.outlet.decodes()) {
            let mut link = None;
            for (instance, _) in held.iter().zip(&of_kind).filter(|(_, kind)| plan.kinds.contains(kind)) {
                let mut open = match link.take() {
                    Some(open) => open,
                    None => self.open(plan.contexts.clone()).await?,
                };
                if self.stop.is_cancelled() {
                    open.release(RESPOND).await;
                    return Err(Halt::Stopped);
                }
                let stop = self.stop;
                let tried = tokio::select! {
                    biased;
                    tried = self.object(&mut open, instance) => Some(tried),
                    () = stop.cancelled() => None,
                };
                let Some(tried) = tried else {
                    open.abort().await;
                    return Err(Halt::Stopped);
                };
                match tried {
                    Ok(true) => {
                        let now = now();
                        let (count, _, last) = taken.entry(instance.shown).or_insert((0, now, now));
                        *count += 1;
                        *last = now;
                    }
                    Ok(false) => refused.push(instance.id),
                    // The others can be sent, on another association.
                    Err(SendError::Torn(error)) => {
                        self.not_taken(instance, chain(&error));
                        refused.push(instance.id);
                        open.abort().await;
                        continue;
                    }
                    Err(error) => {
                        open.abort().await;
                        return Err(Halt::Broken(error));
                    }
                }
                link = Some(open);
            }
            if let Some(open) = link {
                open.release(RESPOND).await;
            }
        }
        let sent = taken.values().map(|(count, ..)| count).sum();
        let peer = self.target.called.to_string();
        let left = taken.into_iter().map(|(shown, (instances, first, last))| {
            let peer = peer.clone();
            Left { peer, shown, first, last, instances, corrected: false }
        });
        catalog.add_departures(left.collect()).await.map_err(Halt::Catalog)?;
        Ok((sent, refused))
    }

    async fn open(&self, contexts: Vec<Proposed>) -> Result<Session, Halt> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Halt::Stopped),
            opened = store::open(&self.target, contexts) => opened.map_err(Halt::Unreachable),
        }
    }

    /// One object: whether it was taken.
    async fn object(&mut self, link: &mut Session, instance: &HeldInstance) -> Result<bool, SendError> {
        let (contexts, decoding) = (link.association().contexts(), self.outbox.outlet.decodes());
        let chosen = store::choose(contexts, &instance.class, &instance.transfer_syntax, decoding);
        let Some((context, syntax)) = chosen else {
            let what = format!("it does not accept SOP class {} in {}", instance.class, instance.transfer_syntax);
            self.not_taken(instance, what);
            return Ok(false);
        };
        self.message = self.message.checked_add(1).unwrap_or(1);
        let request = Command::store_rq(self.message, &instance.class, &instance.instance, None);
        let mut object = self.outbox.outlet.open(instance.clone(), &syntax);
        let answer = match store::send(link, context, &request, &mut object, &mut None).await {
            Ok(answer) => answer,
            Err(SendError::Object(error)) => {
                self.not_taken(instance, chain(&error));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        match store::outcome(&answer) {
            Category::Success | Category::Warning => {
                self.audit.object(instance.study.as_str(), instance.class.as_str(), None);
                Ok(true)
            }
            _ => {
                let status = answer.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                let comment = answer.comment.map(|comment| format!(", {comment}")).unwrap_or_default();
                self.not_taken(instance, format!("status {status}{comment}"));
                Ok(false)
            }
        }
    }

    fn not_taken(&mut self, instance: &HeldInstance, why: String) {
        self.audit.object(instance.study.as_str(), instance.class.as_str(), Some("the receiver did not take it"));
        self.lines += 1;
        if self.lines <= MOST_LINES {
            let uid = &instance.instance;
            warn!(sop_instance.uid = %uid, receiver = %self.target.called, "a node does not take a corrected object");
        }
        self.why = why;
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
