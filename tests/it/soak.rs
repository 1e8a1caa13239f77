//! Senders, queriers and retrievers at once, with cuts, stalls and garbage: what was acknowledged is there, byte for byte,
//! and the node is afterwards as it was before. `PACSFERRY_SOAK_SECONDS=120` makes a long and wide one of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pacsferry::assoc::{Proposal, Proposed, RequestTimeouts, request};
use pacsferry::dataset::Elements;
use pacsferry::dicom::{AeTitle, Encoding, SopClassUid, SopInstanceUid, Status, Tag, TransferSyntaxUid, tags, uids};
use pacsferry::dimse::{Command, DimseError, Session};

use crate::support::chaos::{Chaos, Weather};
use crate::support::peers::{Ferry, PATIENCE, Server, until};
use crate::support::{viewer, wire};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
/// The instances of a study.
const IN_A_STUDY: usize = 10;
/// The node may take so much memory, in KiB.
const MOST_MEMORY: u64 = 512 << 10;

/// How long and how wide.
struct Scale {
    time: Duration,
    senders: usize,
    askers: usize,
}

impl Scale {
    fn asked() -> Self {
        match std::env::var("PACSFERRY_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()) {
            Some(seconds) => Scale { time: Duration::from_secs(seconds), senders: 32, askers: 8 },
            None => Scale { time: Duration::from_secs(5), senders: 6, askers: 2 },
        }
    }
}

/// What everybody knows of everybody.
struct Scene {
    node: u16,
    /// The way to the node through bad weather.
    storm: SocketAddr,
    over: AtomicBool,
    /// What the node has acknowledged: its digest, by SOP Instance UID.
    acknowledged: Mutex<BTreeMap<String, String>>,
    /// The studies that are acknowledged as a whole.
    studies: Mutex<Vec<String>>,
    faults: AtomicUsize,
    queries: Mutex<Vec<Duration>>,
    retrieved: AtomicUsize,
}

impl Scene {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

fn proposal(class: &str, calling: &str) -> Proposal {
    let proposed = Proposed {
        abstract_syntax: class.to_owned(),
        transfer_syntaxes: vec![uids::EXPLICIT_LE.to_owned()],
        scp_role: None,
    };
    Proposal {
        called: AeTitle::new(Ferry::NODE).unwrap(),
        calling: AeTitle::new(calling).unwrap(),
        contexts: vec![proposed],
        max_pdu: 131_072,
        extended: Vec::new(),
        identity: None,
        tls: None,
    }
}

async fn open(at: SocketAddr, class: &str, calling: &str) -> Option<Session> {
    let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
    let association = request(&at.ip().to_string(), at.port(), &proposal(class, calling), &timeouts).await.ok()?;
    Some(Session::new(association))
}

/// A CT image of some KiB.
fn image(study: &str, instance: &str) -> Vec<u8> {
    let mut pixels = vec![0; fastrand::usize(1000..20_000) * 2];
    fastrand::fill(&mut pixels);
    let mut image = Elements::new();
    image.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, instance);
    image.put(tags::STUDY_DATE, "20240105").put(tags::MODALITY, "CT").put(tags::PATIENT_ID, "SOAK");
    image.put(tags::PATIENT_NAME, "Soak^Test").put(tags::STUDY_INSTANCE_UID, study);
    image.put(tags::SERIES_INSTANCE_UID, &format!("{study}.1"));
    image.put_bytes(Tag(0x7FE0, 0x0010), *b"OW", &pixels);
    image.write(Encoding::ExplicitLe)
}

/// Sends one study after the other; what was not acknowledged is sent again on another association, as modalities do.
async fn sender(scene: Arc<Scene>, number: usize) {
    let class = SopClassUid::new(CT);
    for count in 1.. {
        let study = format!("1.2.826.{number}.{count}");
        let images: Vec<(String, Vec<u8>)> = (0..IN_A_STUDY)
            .map(|n| {
                let uid = format!("{study}.1.{n}");
                let bytes = image(&study, &uid);
                (uid, bytes)
            })
            .collect();
        let (mut next, mut session) = (0, None);
        while let Some((uid, bytes)) = images.get(next) {
            if scene.is_over() {
                return;
            }
            let Some(open) = &mut session else {
                session = open(scene.storm, CT, "SENDER").await;
                continue;
            };
            let command = Command::store_rq(1, &class, &SopInstanceUid::new(uid), None);
            let sent: Result<Option<Status>, DimseError> = async {
                open.send(1, &command, Some(bytes), PATIENCE).await?;
                Ok(open.receive(PATIENCE).await?.and_then(|(_, answer)| answer.status))
            }
            .await;
            if let Ok(Some(Status::SUCCESS)) = sent {
                scene.acknowledged.lock().unwrap().insert(uid.clone(), blake3::hash(bytes).to_string());
                next += 1;
            } else {
                scene.faults.fetch_add(1, Ordering::SeqCst);
                session = None;
            }
        }
        scene.studies.lock().unwrap().push(study);
        if let Some(session) = session {
            session.release(PATIENCE).await;
        }
    }
}

/// Asks for everything of a day, again and again.
async fn querier(scene: Arc<Scene>) {
    let node = SocketAddr::from(([127, 0, 0, 1], scene.node));
    let mut keys = Elements::new();
    keys.put(tags::QUERY_RETRIEVE_LEVEL, "STUDY").put(tags::STUDY_DATE, "20240105");
    keys.put(tags::PATIENT_NAME, "so*").put(tags::STUDY_INSTANCE_UID, "");
    let keys = keys.write(Encoding::ExplicitLe);
    let mut session = open(node, uids::STUDY_ROOT_FIND, "QUERIER").await.expect("an association");
    while !scene.is_over() {
        let (begun, known) = (Instant::now(), scene.studies.lock().unwrap().len());
        session.send(1, &Command::find_rq(1, uids::STUDY_ROOT_FIND), Some(&keys), PATIENCE).await.unwrap();
        let mut answers = 0;
        loop {
            let (_, answer) = session.receive(PATIENCE).await.unwrap().expect("an answer");
            session.discard_data(PATIENCE).await.unwrap();
            match answer.status {
                Some(status) if status.is_pending() => answers += 1,
                status => break assert_eq!(status, Some(Status::SUCCESS), "{:?}", answer.comment),
            }
        }
        assert!(answers >= known, "{answers} answers, and {known} studies were acknowledged");
        scene.queries.lock().unwrap().push(begun.elapsed());
    }
    session.release(PATIENCE).await;
}

/// Fetches studies that are acknowledged, and compares every byte.
fn retriever(scene: &Scene) {
    let kinds = vec![(SopClassUid::new(CT), vec![TransferSyntaxUid::new(uids::EXPLICIT_LE)])];
    while !scene.is_over() {
        let study = fastrand::choice(scene.studies.lock().unwrap().iter()).cloned();
        let Some(study) = study else {
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        };
        let seen = viewer::get(scene.node, &kinds, &viewer::study(&study));
        assert_eq!(seen.end.status, Status::SUCCESS, "{:?}", seen.end);
        assert_eq!(seen.received.len(), IN_A_STUDY, "{study}");
        let acknowledged = scene.acknowledged.lock().unwrap();
        for (uid, (_, bytes)) in &seen.received {
            assert_eq!(blake3::hash(bytes).to_string(), acknowledged[uid], "{uid}");
        }
        scene.retrieved.fetch_add(seen.received.len(), Ordering::SeqCst);
    }
}

/// Connects and sends anything, or nothing, or an association's beginning and then anything.
fn vandal(scene: &Scene) {
    while !scene.is_over() {
        let mut garbage = vec![0; fastrand::usize(0..5000)];
        fastrand::fill(&mut garbage);
        let stream = match fastrand::u8(0..3) {
            0 => TcpStream::connect(("127.0.0.1", scene.node)).ok(),
            1 => Some(wire::associate(scene.node, "VANDAL", Ferry::NODE).0),
            _ => None,
        };
        if let Some(mut stream) = stream {
            // The node may have had enough of it by now.
            let _ = stream.write_all(&garbage);
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Open files of a process, but for those of the catalog and for folders, of which some are kept; and its resident memory
/// in KiB.
fn footprint(server: &Server) -> (Vec<String>, u64) {
    let process = format!("/proc/{}", server.id());
    // One may be closed between being listed and being looked at.
    let links =
        std::fs::read_dir(format!("{process}/fd")).unwrap().flatten().filter_map(|fd| fd.path().read_link().ok());
    let mut files: Vec<String> = links.filter(|link| !link.is_dir()).map(|link| link.display().to_string()).collect();
    files.retain(|link| !link.contains("/catalog.db"));
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (files, memory.trim().trim_end_matches(" kB").parse().unwrap())
}

#[test]
fn everything_at_once_loses_nothing_and_leaks_nothing() {
    let scale = Scale::asked();
    let ferry = Ferry::new();
    let limits = "[node.limits]\nassociations = 200\nassociations_per_peer = 200\nrequests = 100000\nstall = \"2s\"\n";
    ferry.configure_with(&[], limits);
    let node = ferry.serve();
    let (files_before, _) = footprint(&node);
    let chaos = Chaos::before(
        SocketAddr::from(([127, 0, 0, 1], ferry.node)),
        Box::new(|number| {
            let calm = Weather::default();
            match number % 4 {
                // In the middle of an object, of an answer, of anything.
                0 => (Weather { cut_after: Some(fastrand::u64(100..400_000)), ..calm }, calm),
                1 => (calm, Weather { cut_after: Some(fastrand::u64(1..2000)), ..calm }),
                2 => (Weather { pieces: Some(1400), ..calm }, calm),
                _ => (calm, calm),
            }
        }),
    );
    let scene = Arc::new(Scene {
        node: ferry.node,
        storm: chaos.address(),
        over: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        studies: Mutex::default(),
        faults: AtomicUsize::new(0),
        queries: Mutex::default(),
        retrieved: AtomicUsize::new(0),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut tasks = Vec::new();
    tasks.extend((0..scale.senders).map(|number| runtime.spawn(sender(Arc::clone(&scene), number))));
    tasks.extend((0..scale.askers).map(|_| runtime.spawn(querier(Arc::clone(&scene)))));
    let mut threads = Vec::new();
    for _ in 0..scale.askers {
        let scene = Arc::clone(&scene);
        threads.push(std::thread::spawn(move || retriever(&scene)));
    }
    for _ in 0..2 {
        let scene = Arc::clone(&scene);
        threads.push(std::thread::spawn(move || vandal(&scene)));
    }
    // On a slow machine as long as it takes until everybody has had a turn.
    let begun = Instant::now();
    until("a turn for everybody", scale.time + PATIENCE, || {
        let turns = !scene.queries.lock().unwrap().is_empty()
            && scene.retrieved.load(Ordering::SeqCst) > 0
            && scene.faults.load(Ordering::SeqCst) > 0;
        (turns && begun.elapsed() >= scale.time).then_some(())
    });
    scene.over.store(true, Ordering::SeqCst);
    for task in tasks {
        runtime.block_on(task).expect("nobody was let down");
    }
    for thread in threads {
        thread.join().expect("nobody was let down");
    }
    drop((chaos, runtime));
    // What is still open of the associations that were cut is given up in time.
    let begun = Instant::now();
    let (files, memory) = loop {
        let (files, memory) = footprint(&node);
        if files.len() <= files_before.len() + 2 {
            break (files, memory);
        }
        assert!(begun.elapsed() < PATIENCE, "{files:#?} are open, before were {files_before:#?}");
        std::thread::park_timeout(Duration::from_millis(100));
    };
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    // SIGKILL: what was acknowledged is durable.
    drop(node);
    let acknowledged = std::mem::take(&mut *scene.acknowledged.lock().unwrap());
    let filed = ferry.filed();
    for (uid, digest) in &acknowledged {
        assert_eq!(filed.get(uid), Some(digest), "{uid}");
    }
    let mut queries = std::mem::take(&mut *scene.queries.lock().unwrap());
    queries.sort();
    eprintln!(
        "soak: {} objects acknowledged, {} fetched, {} queries (p50 {:?}, p99 {:?}), {} faults, open files {} -> {}, {memory} KiB",
        acknowledged.len(),
        scene.retrieved.load(Ordering::SeqCst),
        queries.len(),
        queries[queries.len() / 2],
        queries[queries.len() * 99 / 100],
        scene.faults.load(Ordering::SeqCst),
        files_before.len(),
        files.len(),
    );
}
