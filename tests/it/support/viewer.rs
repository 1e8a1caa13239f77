//! A viewer: asks the node for objects, over its own association or sent to others, and says all that it heard.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pacsferry::dataset::CharacterSet;
use pacsferry::dicom::{
    AeTitle, SeriesInstanceUid, SopClassUid, SopInstanceUid, Status, StudyInstanceUid, TransferSyntaxUid,
};
use pacsferry::object::{Fragment, ObjectStream};
use pacsferry::scu::{Limits, Progress, Purpose, Retrieval, Retrieve, RetrieveEnd, SourceSession, Store, Target};
use tokio_util::sync::CancellationToken;

use super::peers::{Ferry, PATIENCE};

/// SOP classes, each with the transfer syntaxes that the viewer takes it in.
pub(crate) type Kinds = Vec<(SopClassUid, Vec<TransferSyntaxUid>)>;

/// The objects that came, as they came, by SOP Instance UID.
pub(crate) type Received = Arc<Mutex<BTreeMap<String, (TransferSyntaxUid, Vec<u8>)>>>;

/// What a retrieve brought.
pub(crate) struct Seen {
    pub(crate) end: RetrieveEnd,
    pub(crate) progress: Vec<Progress>,
    pub(crate) received: BTreeMap<String, (TransferSyntaxUid, Vec<u8>)>,
}

/// The AE title that it calls from.
pub(crate) const AE_TITLE: &str = "VIEWER";

/// A `[[peer]]` that may query and retrieve; C-MOVE reaches it at this port.
pub(crate) fn peer(ae_title: &str, port: u16) -> String {
    format!(
        "[[peer]]\nae_title = \"{ae_title}\"\naddress = \"127.0.0.1:{port}\"\nallow = [\"query\", \"retrieve\", \"store\"]\n"
    )
}

fn target(port: u16) -> Target {
    Target {
        name: "archive".into(),
        host: "127.0.0.1".into(),
        port,
        called: AeTitle::new(Ferry::NODE).unwrap(),
        calling: AeTitle::new(AE_TITLE).unwrap(),
        connect: PATIENCE,
        respond: PATIENCE,
        default_charset: CharacterSet::ascii(),
        throttle: None,
        tls: None,
        identity: None,
    }
}

/// Takes objects and keeps them; answers each with the status that `judge` gives it.
fn store(received: Received, judge: impl Fn(&SopInstanceUid) -> Status + Send + Sync + 'static) -> Store {
    let judge = Arc::new(judge);
    Arc::new(move |mut stream: ObjectStream| {
        let (received, judge) = (Arc::clone(&received), Arc::clone(&judge));
        Box::pin(async move {
            let mut bytes = Vec::new();
            let mut whole = false;
            while let Some(fragment) = stream.fragments.recv().await {
                match fragment {
                    Fragment::Data(data) => bytes.extend_from_slice(&data),
                    Fragment::End => whole = true,
                }
            }
            assert!(whole, "{} was cut short", stream.instance);
            let status = judge(&stream.instance);
            received.lock().unwrap().insert(stream.instance.to_string(), (stream.transfer_syntax, bytes));
            (status, None)
        })
    })
}

async fn run(
    port: u16,
    purpose: Purpose,
    how: Retrieve,
    what: &Retrieval,
    cancel_after: Option<usize>,
) -> (RetrieveEnd, Vec<Progress>) {
    let mut session = SourceSession::open(&target(port), purpose).await.unwrap();
    let cancel = CancellationToken::new();
    let mut progress = Vec::new();
    let limits = Limits { idle: PATIENCE, total: PATIENCE * 2, alive: &Instant::now };
    let mut note = |one: Progress| {
        progress.push(one);
        if cancel_after.is_some_and(|limit| progress.len() >= limit) {
            cancel.cancel();
        }
    };
    let end = session.retrieve(&how, what, limits, &mut note, &cancel).await.unwrap();
    session.release().await;
    (end, progress)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// C-GET of one study, or what it is narrowed to.
pub(crate) fn get(port: u16, kinds: &Kinds, what: &Retrieval) -> Seen {
    get_judged(port, kinds, what, |_| Status::SUCCESS, None)
}

/// C-GET where the viewer answers as it likes, and cancels after so many signs of progress.
pub(crate) fn get_judged(
    port: u16,
    kinds: &Kinds,
    what: &Retrieval,
    judge: impl Fn(&SopInstanceUid) -> Status + Send + Sync + 'static,
    cancel_after: Option<usize>,
) -> Seen {
    let received = Received::default();
    let how = Retrieve::Get(store(Arc::clone(&received), judge));
    let (end, progress) = block_on(run(port, Purpose::Get(kinds.clone()), how, what, cancel_after));
    let received = std::mem::take(&mut *received.lock().unwrap());
    Seen { end, progress, received }
}

/// C-GET whose objects are only counted: the bytes of all of them.
pub(crate) fn get_length(port: u16, kinds: &Kinds, what: &Retrieval) -> u64 {
    let length = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&length);
    let store: Store = Arc::new(move |mut stream: ObjectStream| {
        let length = Arc::clone(&counted);
        Box::pin(async move {
            while let Some(fragment) = stream.fragments.recv().await {
                if let Fragment::Data(data) = fragment {
                    length.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
            }
            (Status::SUCCESS, None)
        })
    });
    let (end, _) = block_on(run(port, Purpose::Get(kinds.clone()), Retrieve::Get(store), what, None));
    assert_eq!(end.status, Status::SUCCESS, "{end:?}");
    length.load(Ordering::Relaxed)
}

/// C-MOVE to this AE title.
pub(crate) fn move_to(port: u16, destination: &str, what: &Retrieval, cancel_after: Option<usize>) -> Seen {
    let how = Retrieve::Move { destination: AeTitle::new(destination).unwrap() };
    let (end, progress) = block_on(run(port, Purpose::Move, how, what, cancel_after));
    Seen { end, progress, received: BTreeMap::new() }
}

/// A whole study.
pub(crate) fn study(uid: &str) -> Retrieval {
    Retrieval::study(StudyInstanceUid::new(uid))
}

/// Some instances of a series.
pub(crate) fn instances(study: &str, series: &str, uids: &[&str]) -> Retrieval {
    let uids = uids.iter().map(|uid| SopInstanceUid::new(uid)).collect();
    Retrieval::instances(StudyInstanceUid::new(study), SeriesInstanceUid::new(series), uids)
}
