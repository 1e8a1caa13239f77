//! Whatever dies at whatever point, nothing is lost and nothing is there twice: the process is killed between any two
//! steps of filing, and goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pacsferry::assoc::{Proposal, Proposed, RequestTimeouts, request};
use pacsferry::dicom::{AeTitle, Status};
use pacsferry::dimse::{Command, Session};
use pacsferry::sample::{Archive, Profile, SampleObject, SamplePacs};
use rustix::process::Signal;

use crate::support::medium::Medium;
use crate::support::peers::{Ferry, PATIENCE, Source};

/// Threads that each drive a process of their own: mostly they wait for a dead one's leases to run out.
const DRIVERS: usize = 4;

/// Steps that only files of folders take, and corrections.
const NOT_OF_MIGRATIONS: [&str; 7] = ["copy", "list", "adopt", "relocate", "content", "correction", "outbox"];

/// What a fail point is a part of.
pub(crate) fn step(point: &str) -> &str {
    point.split_once(['-', '.']).map_or("", |(step, _)| step)
}

/// Every fail point of the program, read from its source, so that none is forgotten.
pub(crate) fn fail_points() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let calls = text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split_once('"'));
                points.extend(calls.map(|(name, _)| name.to_owned()));
            }
        }
    }
    assert!(points.len() > 10, "the fail points are gone: {points:?}");
    points
}

/// Tries each case, several at a time.
pub(crate) fn each<T: Send>(cases: impl IntoIterator<Item = T>, try_it: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases.into_iter().collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..DRIVERS {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().pop() } {
                    try_it(case);
                }
            });
        }
    });
}

/// Three studies: small objects, some that come in many fragments, and one whose UID is malformed.
fn archive() -> Archive {
    Archive::with(|archive| {
        archive.study("20240501").instances(5, 3_000);
        archive.study("20230202").instances(4, 1_500_000).instance("not.a.uid", 2_000);
        archive.study("").instances(3, 3_000);
    })
}

fn digests(archive: &Archive) -> BTreeMap<String, String> {
    let hex = |bytes: [u8; 32]| blake3::Hash::from_bytes(bytes).to_hex().to_string();
    let objects = archive.objects().iter();
    objects.map(|object| (object.identity.instance.to_string(), hex(object.body.digest()))).collect()
}

fn title(text: &str) -> AeTitle {
    AeTitle::new(text).unwrap()
}

fn assert_whole(ferry: &Ferry, wanted: &BTreeMap<String, String>, when: &str) {
    assert_eq!(&ferry.filed(), wanted, "{when}");
    assert_eq!(ferry.leftovers(), Vec::<std::path::PathBuf>::new(), "{when}");
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{when}: {verified}");
}

#[test]
fn a_migration_goes_on_after_a_kill_at_any_point() {
    let points = fail_points().into_iter().filter(|point| !NOT_OF_MIGRATIONS.contains(&step(point)));
    let cases = points.flat_map(|point| [1, 4].map(|pass| format!("{point}:{pass}")));
    let survived = Mutex::new(BTreeSet::new());
    each(cases, |point| {
        let ferry = Ferry::new();
        let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, ferry.receiver));
        let destinations = HashMap::from([(title(Ferry::AE_TITLE), receiver)]);
        let pacs = SamplePacs::start(archive(), Profile::default(), title("SAMPLE"), destinations).unwrap();
        let keys = "settle = \"1s\"\nretry = { first = \"1s\", longest = \"2s\" }";
        ferry.configure(&[Source { name: "sample", ae_title: "SAMPLE", port: pacs.addr().port(), keys }]);
        let killed = ferry.run_until_fail_point(&["migrate", "sample"], &point);
        if killed.status.signal() != Some(Signal::KILL.as_raw()) {
            assert_eq!(killed.status.code(), Some(0), "{point}: {}", String::from_utf8_lossy(&killed.stderr));
            survived.lock().unwrap().insert(point.clone());
        }
        let again = ferry.run(&["migrate", "sample"]);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_whole(&ferry, &digests(pacs.archive()), &point);
    });
    // Few are passed once only; one that is never passed tests nothing.
    let survived = survived.into_inner().unwrap();
    let never = survived.iter().filter(|point| point.ends_with(":1")).collect::<Vec<_>>();
    assert!(never.is_empty(), "a migration does not pass {never:?}");
}

#[test]
fn a_migration_survives_kills_at_random_moments() {
    let archive = Archive::with(|archive| {
        archive.studies("20240501", 20, 6).studies("20210101", 20, 6);
        archive.study("20200101").instances(3, 4_000_000);
    });
    let ferry = Ferry::new();
    let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, ferry.receiver));
    let destinations = HashMap::from([(title(Ferry::AE_TITLE), receiver)]);
    let pacs = SamplePacs::start(archive, Profile::default(), title("SAMPLE"), destinations).unwrap();
    let keys = "settle = \"1s\"\nassociations = 2\nattempts = 20\nretry = { first = \"1s\", longest = \"2s\" }";
    ferry.configure(&[Source { name: "sample", ae_title: "SAMPLE", port: pacs.addr().port(), keys }]);
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..6 {
        // Up to the end of the dead one's leases and somewhat beyond. Moments are what is drawn here.
        let moment = Instant::now() + Duration::from_millis(random.u64(200..15_000));
        let migration = ferry.start(&["migrate", "sample"]);
        while let Some(left) = moment.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        drop(migration);
    }
    let last = ferry.run(&["migrate", "sample"]);
    assert_eq!(last.code, 0, "{}{}", last.out, last.err);
    assert_whole(&ferry, &digests(pacs.archive()), &format!("seed {seed}"));
}

#[test]
fn an_import_goes_on_after_a_kill_at_any_point() {
    let steps = ["copy", "intake", "settle", "record", "claim", "item", "list"];
    let points = fail_points().into_iter().filter(|point| steps.contains(&step(point)));
    let cases = points.flat_map(|point| [1, 3].map(|pass| format!("{point}:{pass}")));
    let killed = Mutex::new(BTreeSet::new());
    each(cases, |point| {
        let (ferry, archive) = (Ferry::new(), archive());
        ferry.configure(&[]);
        let medium = Medium::of(&archive);
        let arguments = ["import", medium.name(), "--copy"];
        let first = ferry.run_until_fail_point(&arguments, &point);
        if first.status.signal() == Some(Signal::KILL.as_raw()) {
            killed.lock().unwrap().insert(point.split(':').next().unwrap().to_owned());
        } else {
            assert_eq!(first.status.code(), Some(0), "{point}: {}", String::from_utf8_lossy(&first.stderr));
        }
        let again = ferry.run(&arguments);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_whole(&ferry, &digests(&archive), &point);
    });
    let killed = killed.into_inner().unwrap();
    for point in ["copy-read", "list-written", "settle-renamed", "record-written", "item-written", "claim-found"] {
        assert!(killed.contains(point), "an import does not pass {point}: {killed:?}");
    }
}

#[test]
fn what_was_answered_with_success_is_there_after_a_kill() {
    let filing = |point: &String| matches!(step(point), "receive" | "intake" | "settle" | "record");
    let cases = fail_points().into_iter().filter(filing).flat_map(|point| [2, 4].map(|pass| format!("{point}:{pass}")));
    each(cases, |point| {
        let ferry = Ferry::new();
        ferry.configure(&[Source { name: "sample", ae_title: "SAMPLE", port: 104, keys: "" }]);
        let archive = archive();
        let all = digests(&archive);
        let answered = {
            let _worker = ferry.work_until_fail_point(&point);
            store(ferry.receiver, archive.objects())
        };
        assert!(answered.len() < all.len(), "{point} is never passed");
        {
            let _worker = ferry.work();
            // The worker has swept before it listens.
            let filed = ferry.filed();
            for uid in &answered {
                assert!(filed.contains_key(uid), "{point}: {uid} was answered with success and is not there");
            }
            assert_eq!(store(ferry.receiver, archive.objects()).len(), all.len(), "{point}");
        }
        assert_whole(&ferry, &all, &point);
    });
}

/// Sends objects over two associations at once, until they end; the UIDs that were answered with success.
fn store(port: u16, objects: &[SampleObject]) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (left, right) = objects.split_at(objects.len() / 2);
    runtime.block_on(async {
        let (mut left, right) = tokio::join!(store_all(port, left), store_all(port, right));
        left.extend(right);
        left
    })
}

async fn store_all(port: u16, objects: &[SampleObject]) -> BTreeSet<String> {
    let mut kinds: Vec<_> = objects.iter().map(|o| (o.identity.class.clone(), o.transfer_syntax.clone())).collect();
    kinds.sort();
    kinds.dedup();
    let context = |(class, syntax): &(_, _)| Proposed {
        abstract_syntax: format!("{class}"),
        transfer_syntaxes: vec![format!("{syntax}")],
        scp_role: None,
    };
    let proposal = Proposal {
        called: title(Ferry::AE_TITLE),
        calling: title("ANYBODY"),
        contexts: kinds.iter().map(context).collect(),
        max_pdu: 16_384,
        extended: Vec::new(),
        tls: None,
        identity: None,
    };
    let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
    let mut answered = BTreeSet::new();
    let Ok(association) = request("127.0.0.1", port, &proposal, &timeouts).await else { return answered };
    let mut session = Session::new(association);
    for (object, id) in objects.iter().zip(1..) {
        let context = session.association().context_for(object.identity.class.as_str()).expect("a context").id;
        let command = Command::store_rq(id, &object.identity.class, &object.identity.instance, None);
        if session.send(context, &command, Some(&object.body.to_vec()), PATIENCE).await.is_err() {
            return answered;
        }
        match session.receive(PATIENCE).await {
            Ok(Some((_, response))) if response.status == Some(Status::SUCCESS) => {
                answered.insert(object.identity.instance.to_string());
            }
            Ok(Some((_, response))) => panic!("{} for {}", response.status.unwrap(), object.identity.instance),
            Ok(None) | Err(_) => return answered,
        }
    }
    session.release(Duration::from_secs(5)).await;
    answered
}
