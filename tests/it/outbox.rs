//! What others have to be told is told, whatever they do meanwhile, and whatever becomes of us: the AI platform by HTTP,
//! nodes by C-STORE.

use pacsferry::catalog::{Catalog, Departure, Errand, Selection};
use pacsferry::dicom::StudyInstanceUid;
use pacsferry::store::Store;
use serde_json::Value;

use crate::support::certificates::Authority;
use crate::support::peers::{
    Ferry, Orthanc, PATIENCE, Sample, Storescp, distinct, free_port, get, getscu, movescu, samples, send, string, until,
};
use crate::support::platform::{Asked, Platform, Reply, Requests};
use crate::support::viewer::peer;

/// `[ai]` with this URL, and further keys.
fn ai(url: &str, keys: &str) -> String {
    format!("[ai]\nrescan_url = \"{url}\"\ntimeout = \"1s\"\nfindings = [ {{ ae_title = \"AI\" }} ]\n{keys}\n")
}

/// A node that has taken a study from the sample sender.
fn scene(config: &str) -> (Ferry, Sample) {
    let ferry = Ferry::new();
    ferry.configure_with(&[], &(peer("SAMPLES", 104) + config));
    let samples = samples();
    let sample = distinct(&samples).into_iter().find(|s| s.path.ends_with("CT_small.dcm")).unwrap().clone();
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &[&sample]), [0]);
    (ferry, sample)
}

/// The newest entry of the outbox.
fn entry(ferry: &Ferry) -> Value {
    ferry.json(&["outbox", "--all", "--json"])[0].clone()
}

fn ends(ferry: &Ferry, state: &str) -> Value {
    until(&format!("the entry is {state}"), PATIENCE, || Some(entry(ferry)).filter(|entry| entry["state"] == state))
}

/// Waits until the process of that id sends what is in the outbox.
fn sends(ferry: &Ferry, process: u32) {
    until("somebody sends", PATIENCE, || {
        let holder = in_catalog(ferry, async |catalog| catalog.holder("outbox").await.unwrap());
        holder.filter(|holder| holder.starts_with(&format!("{process}-")))
    });
}

fn asked(requests: &Requests) -> Vec<Asked> {
    requests.lock().unwrap().clone()
}

#[test]
fn a_platform_that_is_away_is_asked_when_it_comes_back_even_by_another_process() {
    let port = free_port();
    let (ferry, sample) = scene(&ai(&format!("http://127.0.0.1:{port}/api/rescan?x=1"), ""));
    let study = sample.study.as_deref().unwrap();
    let checked = ferry.run(&["check"]);
    assert!(
        checked.out.contains(&format!("cannot connect to http://127.0.0.1:{port}")),
        "{}{}",
        checked.out,
        checked.err
    );
    // Nobody sends: kept all the same, and said so.
    let done = ferry.run(&["rescan", study]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("nobody sends it now"), "{}", done.out);
    let node = ferry.serve();
    let waits = until("it was tried", PATIENCE, || Some(entry(&ferry)).filter(|entry| entry["attempts"] != 0));
    assert_eq!(string(&waits, "state"), "waiting");
    assert!(string(&waits, "detail").contains(&format!("cannot connect to http://127.0.0.1:{port}")), "{waits}");
    let metrics = get(ferry.web, "/metrics");
    assert!(metrics.contains("\npacsferry_outbox_waiting{kind=\"rescan\"} 1\n"), "{metrics}");
    // Killed, as with kill -9.
    drop(node);
    let requests = Requests::default();
    let _platform = Platform::start(port, &[], &requests);
    let _node = ferry.serve();
    let told = ends(&ferry, "done");
    assert!(string(&told, "detail").contains("202"), "{told}");
    let requests = asked(&requests);
    let [Asked { head, body }] = &requests[..] else { panic!("{requests:?}") };
    assert!(head.starts_with("POST /api/rescan?x=1 HTTP/1.1\r\n") && head.contains("application/json"), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
    assert_eq!(string(body, "study_instance_uid"), study);
    assert_eq!(string(body, "accession_number"), sample.texts.get("AccessionNumber").map_or("", |text| text.as_str()));
    assert_eq!((string(body, "reason"), string(body, "archive")), ("asked for by hand".into(), Ferry::NODE.into()));
    assert_eq!(body["operation"], Value::Null);
    let metrics = get(ferry.web, "/metrics");
    assert!(metrics.contains("\npacsferry_outbox_waiting{kind=\"rescan\"} 0\n"), "{metrics}");
}

#[test]
fn a_platform_that_is_slow_or_broken_is_asked_the_same_again_until_it_accepts() {
    let port = free_port();
    let (ferry, sample) = scene(&ai(&format!("http://127.0.0.1:{port}"), ""));
    let requests = Requests::default();
    let overloaded = Reply::Says(503, "Retry-After: 1\r\n", "busy");
    let _platform = Platform::start(port, &[Reply::Babbles, Reply::Breaks, Reply::Hangs, overloaded], &requests);
    let node = ferry.serve();
    sends(&ferry, node.id());
    let done = ferry.run(&["rescan", sample.study.as_deref().unwrap(), "--reason", "wrong side"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("waiting") && done.out.contains("tried 1 time in vain"), "{}", done.out);
    let told = ends(&ferry, "done");
    assert_eq!(told["attempts"], 4);
    let requests = asked(&requests);
    assert_eq!(requests.len(), 5, "{requests:?}");
    let ids: Vec<String> = requests.iter().map(|asked| string(&asked.body, "request")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(requests.iter().all(|asked| asked.head.contains(&ids[0])), "{requests:?}");
    assert_eq!(string(&requests[4].body, "reason"), "wrong side");
}

#[test]
fn what_the_platform_will_not_hear_of_is_told_and_kept_until_somebody_asks_again() {
    let port = free_port();
    let (ferry, sample) = scene(&ai(&format!("http://127.0.0.1:{port}/"), ""));
    let requests = Requests::default();
    let _platform = Platform::start(port, &[Reply::Says(422, "", "no such\nprotocol")], &requests);
    let node = ferry.serve();
    sends(&ferry, node.id());
    let study = sample.study.as_deref().unwrap();
    let done = ferry.run(&["rescan", study]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    assert!(
        done.out.contains("failed") && done.out.contains("422") && done.out.contains("no such protocol"),
        "{}",
        done.out
    );
    // Neither a restart nor time changes that.
    drop(node);
    let node = ferry.serve();
    sends(&ferry, node.id());
    let metrics = get(ferry.web, "/metrics");
    assert!(metrics.contains("pacsferry_outbox_failed{kind=\"rescan\"} 1\n"), "{metrics}");
    assert!(metrics.contains("pacsferry_outbox_waiting{kind=\"rescan\"} 0\n"), "{metrics}");
    assert_eq!(asked(&requests).len(), 1);
    let listed = ferry.run(&["outbox", "--study", study]);
    assert!(listed.out.contains("failed") && listed.out.contains("no such protocol"), "{}", listed.out);
    let done = ferry.run(&["rescan", study]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(string(&ends(&ferry, "done"), "detail"), "accepted with 202 Accepted");
    assert_eq!(asked(&requests).len(), 2);
    // What is done cannot be tried again, and what is no study cannot be scanned.
    let number = entry(&ferry)["entry"].to_string();
    assert_eq!(ferry.run(&["outbox", "retry", &number]).code, 2);
    assert!(ferry.run(&["rescan", "1.2.3.4"]).err.contains("there is no study 1.2.3.4"));
}

#[test]
fn a_platform_of_https_is_asked_with_the_token_and_nobody_else_is() {
    let (port, authority) = (free_port(), Authority::new("Hospital CA"));
    let own = authority.issue("ai", 30);
    let ferry = Ferry::new();
    let token = ferry.folder().join("token");
    std::fs::write(&token, "tok-4711\n").unwrap();
    let keys = |ca: std::path::PathBuf| {
        ai(&format!("https://127.0.0.1:{port}/"), &format!("token_file = {token:?}\ntls = {{ ca = {ca:?} }}"))
    };
    let (stranger, requests) = (Authority::new("Another CA"), Requests::default());
    ferry.configure_with(&[], &(peer("SAMPLES", 104) + &keys(stranger.ca())));
    let samples = samples();
    let sample = distinct(&samples)[0];
    let _platform = Platform::secure(port, &own, &requests);
    let node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &[sample]), [0]);
    let done = ferry.run(&["rescan", sample.study.as_deref().unwrap()]);
    assert!(done.out.contains("waiting") && done.out.contains("certificate"), "{}{}", done.out, done.err);
    assert!(asked(&requests).is_empty());
    drop(node);
    ferry.configure_with(&[], &(peer("SAMPLES", 104) + &keys(authority.ca())));
    let _node = ferry.serve();
    ends(&ferry, "done");
    assert!(asked(&requests)[0].head.to_lowercase().contains("\r\nauthorization: bearer tok-4711\r\n"));
    assert!(!ferry.served().contains("tok-4711"), "a secret in the log");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_kill_between_the_answer_and_its_note_asks_once_more_under_the_same_number() {
    let port = free_port();
    let (ferry, sample) = scene(&ai(&format!("http://127.0.0.1:{port}/"), ""));
    let requests = Requests::default();
    let _platform = Platform::start(port, &[], &requests);
    let killed = ferry.work_until_fail_point("outbox.told");
    let study = StudyInstanceUid::new(sample.study.as_deref().unwrap());
    in_catalog(&ferry, async |catalog| catalog.ask_rescan(&study, "moved").await.unwrap());
    until("it was asked", PATIENCE, || (asked(&requests).len() == 1).then_some(()));
    drop(killed);
    assert_eq!(string(&entry(&ferry), "state"), "waiting");
    let _worker = ferry.work();
    ends(&ferry, "done");
    let ids: Vec<String> = asked(&requests).iter().map(|asked| string(&asked.body, "request")).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

/// Puts a publication of these studies, in this order, into the outbox.
fn publish(ferry: &Ferry, to: &str, studies: &[&str]) {
    let study = StudyInstanceUid::new(studies[0]);
    in_catalog(ferry, async |catalog| {
        let mut first = Vec::new();
        for study in studies {
            let studies = vec![StudyInstanceUid::new(study)];
            let selected = catalog.select(&Selection { studies, ..Selection::default() }, 1000).await.unwrap();
            first.extend(selected.instances.into_iter().map(|(id, _)| id));
        }
        catalog.put_errands(vec![Errand::Publish { peer: to.into(), study, first }]).await.unwrap();
    });
}

fn in_catalog<T>(ferry: &Ferry, work: impl AsyncFnOnce(Catalog) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { work(Catalog::open(&ferry.folder().join("catalog.db")).unwrap()).await })
}

fn departures(ferry: &Ferry, study: &str) -> Vec<Departure> {
    let study = StudyInstanceUid::new(study);
    in_catalog(ferry, async |catalog| catalog.departures_of_study(&study).await.unwrap())
}

/// `[[peer]]` that is sent corrections.
fn corrected(ae_title: &str, port: u16) -> String {
    peer(ae_title, port) + "corrections = true\n"
}

/// Some samples that every receiver takes.
fn some(samples: &[Sample]) -> Vec<&Sample> {
    let plain = |sample: &&Sample| sample.transfer_syntax == "1.2.840.10008.1.2.1";
    distinct(samples).into_iter().filter(plain).take(12).collect()
}

fn studies<'a>(samples: &[&'a Sample]) -> Vec<&'a str> {
    let mut studies: Vec<&str> = samples.iter().map(|sample| sample.study.as_deref().unwrap()).collect();
    studies.sort_unstable();
    studies.dedup();
    studies
}

#[test]
fn corrected_objects_reach_orthanc_and_dcmtk_also_when_they_were_away() {
    let (ferry, witness) = (Ferry::new(), free_port());
    let orthanc = Orthanc::start(&[], 0);
    let peers =
        [corrected(Orthanc::AE_TITLE, orthanc.port), corrected(Storescp::AE_TITLE, witness), peer("SAMPLES", 104)];
    ferry.configure_with(&[], &peers.concat());
    let samples = samples();
    let sent = some(&samples);
    let node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    let studies = studies(&sent);
    publish(&ferry, Storescp::AE_TITLE, &studies);
    until("the witness is missed", PATIENCE, || Some(entry(&ferry)).filter(|entry| entry["attempts"] != 0));
    publish(&ferry, Orthanc::AE_TITLE, &studies);
    let told = ends(&ferry, "done");
    assert_eq!((string(&told, "peer"), told["sent"].as_u64()), (Orthanc::AE_TITLE.into(), Some(sent.len() as u64)));
    assert_eq!(orthanc.files().len(), sent.len());
    drop(node);
    let dcmtk = Storescp::start(witness);
    let _node = ferry.serve();
    until("the witness has been told", PATIENCE, || {
        let entries = ferry.json(&["outbox", "--json"]);
        entries.as_array().unwrap().is_empty().then_some(())
    });
    let expected = sent.iter().map(|sample| (sample.sop_instance.clone(), sample.digest())).collect();
    assert_eq!(dcmtk.received(), expected);
    let departed = departures(&ferry, studies[0]);
    let mut peers: Vec<&str> = departed.iter().map(|departure| departure.peer.as_str()).collect();
    peers.sort_unstable();
    peers.dedup();
    assert_eq!(peers, [Orthanc::AE_TITLE, Storescp::AE_TITLE], "{departed:?}");
}

#[test]
fn what_a_node_does_not_take_is_told_and_the_rest_is_there() {
    let (ferry, witness) = (Ferry::new(), free_port());
    let peers = [corrected(Storescp::AE_TITLE, witness), peer("OTHER", 104), peer("SAMPLES", 104)];
    // What could be decoded would be taken.
    ferry.configure_with(&[], &format!("decompress = false\n{}", peers.concat()));
    let samples = samples();
    let jpeg = *distinct(&samples).iter().find(|s| s.transfer_syntax == "1.2.840.10008.1.2.4.70").unwrap();
    let mut sent = some(&samples);
    sent.push(jpeg);
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    // It takes nothing compressed.
    let dcmtk = Storescp::start_with(witness, &["+x="]);
    publish(&ferry, Storescp::AE_TITLE, &studies(&sent));
    let refused = until("it was tried", PATIENCE, || Some(entry(&ferry)).filter(|entry| entry["attempts"] != 0));
    assert_eq!((refused["sent"].as_u64(), refused["refused"].as_u64()), (Some(sent.len() as u64 - 1), Some(1)));
    assert!(string(&refused, "detail").contains("it does not accept SOP class"), "{refused}");
    assert!(!dcmtk.received().contains_key(&jpeg.sop_instance));
    drop(dcmtk);
    let dcmtk = Storescp::start(witness);
    ends(&ferry, "done");
    assert_eq!(
        dcmtk.received().into_keys().collect::<Vec<_>>(),
        std::slice::from_ref(&jpeg.sop_instance),
        "the rest only"
    );
    // One that is not to be sent corrections is not, and somebody gets to know.
    publish(&ferry, "OTHER", &studies(&sent));
    let failed = ends(&ferry, "failed");
    assert!(string(&failed, "detail").contains("has not corrections = true"), "{failed}");
}

#[test]
fn what_left_by_move_and_by_get_is_in_the_retrieve_log_and_what_was_refused_is_not() {
    let (ferry, witness) = (Ferry::new(), free_port());
    let peers = [peer(Storescp::AE_TITLE, witness), peer("SAMPLES", 104)].concat();
    ferry.configure_with(&[], &format!("decompress = false\n{peers}"));
    let samples = samples();
    let jpeg = *distinct(&samples).iter().find(|s| s.transfer_syntax == "1.2.840.10008.1.2.4.70").unwrap();
    let plain = some(&samples)[0];
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &[jpeg, plain]), [0, 0]);
    let of = |sample: &Sample| format!("StudyInstanceUID={}", sample.study.as_deref().unwrap());
    let rows = |sample: &Sample| departures(&ferry, sample.study.as_deref().unwrap());
    {
        let _dcmtk = Storescp::start_with(witness, &["+x="]);
        movescu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &of(jpeg)]);
        movescu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &of(plain)]);
    }
    let first = until("the move is logged", PATIENCE, || rows(plain).into_iter().next());
    assert!(rows(jpeg).is_empty(), "it was not taken");
    assert_eq!((first.peer.as_str(), first.instances, first.shown.correction), (Storescp::AE_TITLE, 1, 0));
    assert_eq!(first.series.as_str(), plain.series.as_deref().unwrap());
    getscu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &of(plain)]);
    let second = until("the get is logged", PATIENCE, || rows(plain).into_iter().find(|row| row.instances == 2));
    assert_eq!((second.first, &second.peer), (first.first, &first.peer));
    assert!(second.last >= first.last && rows(plain).len() == 1);
}

#[test]
fn findings_are_known_by_who_sent_them_or_by_what_their_headers_name() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], &peer("SAMPLES", 104));
    let samples = samples();
    let study = samples.iter().find(|s| s.path.ends_with("CT_small.dcm")).unwrap();
    let maker = "GE MEDICAL SYSTEMS";
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &[study]), [0]);
    let uid = StudyInstanceUid::new(study.study.as_deref().unwrap());
    let store = Store::open(&ferry.storage(), 0).unwrap();
    for (rule, found) in [
        ("ae_title = \"SAMPLES\"".to_owned(), 1),
        ("ae_title = \"AI\"".to_owned(), 0),
        (format!("manufacturer = \"{}*\"", &maker[..4].to_lowercase()), 1),
        (format!("manufacturer = \"{maker}\", sop_class = \"{}\"", study.sop_class), 1),
        (format!("manufacturer = \"{maker}\", sop_class = \"1.2.840.10008.5.1.4.1.1.66.4\""), 0),
        (format!("ae_title = \"SAMPLES\", algorithm = \"{maker}\""), 0),
    ] {
        let text = format!("[ai]\nrescan_url = \"http://127.0.0.1/\"\nfindings = [ {{ {rule} }} ]\n");
        let ai = pacsferry::config::parse(&text, None).unwrap().ai.unwrap();
        let findings =
            in_catalog(&ferry, async |catalog| pacsferry::outbox::findings(&catalog, &store, &ai, &uid).await.unwrap());
        assert_eq!(findings.len(), found, "{rule}");
    }
}
