//! Against real old PACS: what Orthanc and DCMTK send is filed bit by bit as they send it.
//!
//! The witness is DCMTK's bit-preserving receiver, which gets the same studies from the same
//! source: a source may write a data set anew on its way out, but we may not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::peers::{
    Dcmqrscp, Ferry, Orthanc, Sample, Source, Storescp, dcmsend, distinct, free_port, get_study, move_study, samples,
    send,
};

/// Nothing here needs a second attempt, so that a failing test fails soon.
const PROMPT: &str = "settle = \"1s\"\nattempts = 2\nretry = { first = \"1s\", longest = \"2s\" }";

#[test]
fn orthanc_sends_by_c_move() {
    let samples = samples();
    let (ferry, witness) = (Ferry::new(), free_port());
    let orthanc = Orthanc::start(&[(Ferry::AE_TITLE, ferry.receiver), (Storescp::AE_TITLE, witness)], 0);
    let held = orthanc.load(distinct(&samples));
    let expected = moved(orthanc.port, Orthanc::AE_TITLE, witness, &held);
    assert_eq!(expected.len(), held.len(), "Orthanc sends all that it holds");
    migrate_all(&ferry, Orthanc::AE_TITLE, orthanc.port, "move", &held, &expected);
}

#[test]
fn orthanc_sends_by_c_get() {
    let samples = samples();
    let (ferry, witness) = (Ferry::new(), free_port());
    // It does not know our receiver: C-GET needs nobody to know it.
    let orthanc = Orthanc::start(&[(Storescp::AE_TITLE, witness)], 0);
    let held = orthanc.load(distinct(&samples));
    // Not by `getscu`, which has everything uncompressed: we take it as the source holds it.
    let expected = moved(orthanc.port, Orthanc::AE_TITLE, witness, &held);
    migrate_all(&ferry, Orthanc::AE_TITLE, orthanc.port, "get", &held, &expected);
}

/// What has neither a date nor a patient ID is behind the cap for good: that is said, not passed over.
#[test]
fn orthanc_that_caps_its_answers_hides_no_study_that_can_be_asked_for() {
    let samples = samples();
    let (ferry, witness) = (Ferry::new(), free_port());
    let orthanc = Orthanc::start(&[(Ferry::AE_TITLE, ferry.receiver), (Storescp::AE_TITLE, witness)], 10);
    let askable = |s: &&Sample| s.texts.contains_key("StudyDate") || s.texts.contains_key("PatientID");
    let (held, hidden): (Vec<_>, Vec<_>) = orthanc.load(distinct(&samples)).into_iter().partition(askable);
    assert!(!hidden.is_empty(), "no sample without date and patient ID");
    let expected = moved(orthanc.port, Orthanc::AE_TITLE, witness, &held);
    migrate_all(&ferry, Orthanc::AE_TITLE, orthanc.port, "move", &held, &expected);
    let report = ferry.run(&["report", "last"]);
    assert!(report.out.contains("cannot be found by queries"), "{}", report.out);
}

#[test]
fn dcmqrscp_sends_by_c_move() {
    let samples = samples();
    let held = uncompressed(&samples);
    let (ferry, witness) = (Ferry::new(), free_port());
    let known = [(Ferry::AE_TITLE, ferry.receiver), (Storescp::AE_TITLE, witness)];
    let dcmqrscp = Dcmqrscp::start(&held, &known, None);
    let held = dcmqrscp.held(held);
    let expected = moved(dcmqrscp.port, Dcmqrscp::AE_TITLE, witness, &held);
    assert_eq!(expected.len(), held.len(), "dcmqrscp sends all that it holds");
    migrate_all(&ferry, Dcmqrscp::AE_TITLE, dcmqrscp.port, "move", &held, &expected);
}

#[test]
fn dcmqrscp_sends_by_c_get() {
    let samples = samples();
    let held = uncompressed(&samples);
    let ferry = Ferry::new();
    let dcmqrscp = Dcmqrscp::start(&held, &[], None);
    let held = dcmqrscp.held(held);
    let expected = get_study(dcmqrscp.port, Dcmqrscp::AE_TITLE, &studies(&held));
    assert_eq!(expected.len(), held.len(), "dcmqrscp sends all that it holds");
    migrate_all(&ferry, Dcmqrscp::AE_TITLE, dcmqrscp.port, "get", &held, &expected);
}

#[test]
fn dcmqrscp_sends_compressed_objects() {
    const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
    let samples = samples();
    let held: Vec<_> = distinct(&samples).into_iter().filter(|s| s.transfer_syntax == JPEG_BASELINE).collect();
    assert!(held.len() >= 10, "only {} JPEG samples", held.len());
    let (ferry, witness) = (Ferry::new(), free_port());
    let known = [(Ferry::AE_TITLE, ferry.receiver), (Storescp::AE_TITLE, witness)];
    let dcmqrscp = Dcmqrscp::start(&held, &known, Some(JPEG_BASELINE));
    let held = dcmqrscp.held(held);
    let expected = moved(dcmqrscp.port, Dcmqrscp::AE_TITLE, witness, &held);
    assert_eq!(expected.len(), held.len(), "dcmqrscp sends all that it holds");
    migrate_all(&ferry, Dcmqrscp::AE_TITLE, dcmqrscp.port, "move", &held, &expected);
    for (uid, row) in ferry.instances() {
        assert_eq!(row["AvailableTransferSyntaxUID"], JPEG_BASELINE, "{uid}");
    }
}

/// This source holds compressed objects but offers to send uncompressed ones only.
#[test]
fn what_a_source_cannot_send_is_named() {
    let samples = samples();
    let held = distinct(&samples);
    let (ferry, witness) = (Ferry::new(), free_port());
    let known = [(Ferry::AE_TITLE, ferry.receiver), (Storescp::AE_TITLE, witness)];
    let dcmqrscp = Dcmqrscp::start(&held, &known, None);
    let held = dcmqrscp.held(held);
    let expected = moved(dcmqrscp.port, Dcmqrscp::AE_TITLE, witness, &held);
    assert!(expected.len() < held.len(), "this source should not be able to send everything");

    ferry.configure(&[Source { name: "old", ae_title: Dcmqrscp::AE_TITLE, port: dcmqrscp.port, keys: PROMPT }]);
    let done = ferry.run(&["migrate", "old"]);
    assert_eq!(done.code, 3, "finished with fallout: {}{}", done.out, done.err);
    assert_eq!(ferry.filed(), expected);

    let report = ferry.json(&["report", "last", "--format", "json"]);
    let short: BTreeSet<&str> =
        held.iter().filter(|s| !expected.contains_key(&s.sop_instance)).filter_map(|s| s.study.as_deref()).collect();
    let rows = report["studies"].as_array().expect("studies");
    assert_eq!(rows.len(), studies(&held).len());
    for row in rows {
        let uid = row["study_uid"].as_str().expect("a UID");
        let ended_short = row["state"] == "partial" || row["state"] == "failed";
        assert_eq!(ended_short, short.contains(uid), "{row}");
        assert_eq!(row["reason"].is_string(), ended_short, "fallout, and only it, has a reason: {row}");
    }
}

/// pynetdicom puts the data set of each file on the wire untouched, in the file's transfer syntax.
#[test]
fn every_sample_is_kept_as_its_bytes_are() {
    let samples = samples();
    let mut left: Vec<&Sample> = samples.iter().collect();
    while !left.is_empty() {
        // One of each SOP Instance UID at a time: the others are another archive's.
        let mut seen = BTreeSet::new();
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|s| seen.insert(&s.sop_instance));
        left = later;
        keep_all(&now);
    }
}

fn keep_all(samples: &[&Sample]) {
    let ferry = Ferry::new();
    ferry.configure(&[Source { name: "sender", ae_title: "SAMPLES", port: free_port(), keys: "" }]);
    let worker = ferry.work();
    for (sample, status) in samples.iter().zip(send(ferry.receiver, Ferry::AE_TITLE, samples)) {
        let kept = status == 0 || status & 0xF000 == 0xB000;
        assert!(kept, "{} was answered {status:04X}", sample.name());
    }
    // Every answer was given when its object was safe: nothing has to be waited for.
    drop(worker);
    let filed = ferry.filed();
    let quarantined = ferry.quarantined();
    for sample in samples {
        let digest = sample.digest();
        if sample.is_whole() {
            assert_eq!(filed.get(&sample.sop_instance), Some(&digest), "{} is filed unchanged", sample.name());
        } else {
            assert!(quarantined.contains(&digest), "{} is kept in quarantine, unchanged", sample.name());
        }
    }
    assert_eq!(filed.len() + quarantined.len(), samples.len());
    assert_eq!(ferry.leftovers(), Vec::<std::path::PathBuf>::new());
}

/// DCMTK's sender writes data sets anew on their way, the same way for everybody.
#[test]
fn dcmtk_sends_to_us_what_it_sends_to_its_own_receiver() {
    let samples = samples();
    let sent = distinct(&samples);
    let port = free_port();
    let witness = Storescp::start(port);
    dcmsend(port, Storescp::AE_TITLE, sent.iter().copied());
    let expected = witness.received();
    assert!(expected.len() > 100, "only {} objects", expected.len());

    let ferry = Ferry::new();
    ferry.configure(&[Source { name: "sender", ae_title: "DCMSEND", port: free_port(), keys: "" }]);
    let worker = ferry.work();
    dcmsend(ferry.receiver, Ferry::AE_TITLE, sent.iter().copied());
    drop(worker);
    let filed = ferry.filed();
    for (uid, digest) in &expected {
        assert_eq!(filed.get(uid), Some(digest), "{uid} is filed as it was sent");
    }
}

#[test]
fn names_are_shown_as_pydicom_decodes_them() {
    let samples = samples();
    let named: Vec<_> = distinct(&samples)
        .into_iter()
        .filter(|s| s.path.components().any(|c| c.as_os_str() == "charset_files"))
        .collect();
    assert!(named.len() >= 12, "only {} samples of character sets", named.len());
    let ferry = Ferry::new();
    ferry.configure(&[Source { name: "sender", ae_title: "SAMPLES", port: free_port(), keys: "" }]);
    let worker = ferry.work();
    send(ferry.receiver, Ferry::AE_TITLE, &named);
    drop(worker);
    let rows = ferry.json(&["find", "catalog", "--level", "study", "--json"]);
    let shown: BTreeMap<&str, &Value> = rows
        .as_array()
        .expect("a list of studies")
        .iter()
        .map(|row| (row["StudyInstanceUID"].as_str().expect("a UID"), &row["PatientName"]))
        .collect();
    for sample in named {
        let study = sample.study.as_deref().expect("a study");
        let name = shown.get(study).unwrap_or_else(|| panic!("{} is not in the catalog", sample.name()));
        assert_eq!(
            name.as_str().map(|n| n.trim_end_matches('=')),
            sample.texts.get("PatientName").map(String::as_str),
            "{}",
            sample.name()
        );
    }
}

/// Migrates everything from the source, and holds the archive against what the witness got.
fn migrate_all(
    ferry: &Ferry,
    ae_title: &str,
    port: u16,
    retrieve: &str,
    held: &[&Sample],
    expected: &BTreeMap<String, String>,
) {
    let keys = format!("retrieve = \"{retrieve}\"\n{PROMPT}");
    ferry.configure(&[Source { name: "old", ae_title, port, keys: &keys }]);
    let done = ferry.run(&["migrate", "old"]);
    // A source that caps its answers may hide studies that nobody can ask for, which is told.
    let may_hide = done.out.contains("those that have neither cannot be found");
    assert_eq!(done.code, if may_hide { 3 } else { 0 }, "everything is proven: {}{}", done.out, done.err);

    let report = ferry.json(&["report", "last", "--format", "json"]);
    assert_eq!(report["items"]["total"], studies(held).len());
    assert_eq!(report["items"]["proven"], report["items"]["total"]);
    assert_eq!(report["objects"]["filed"], expected.len());

    let filed = ferry.filed();
    for (uid, digest) in expected {
        assert_eq!(filed.get(uid), Some(digest), "{uid} is filed as the source sends it");
    }
    assert_eq!(filed.len(), expected.len(), "and nothing else is");
    assert_eq!(ferry.leftovers(), Vec::<std::path::PathBuf>::new());
}

/// What the witness gets from the source by C-MOVE: the digest of each data set.
fn moved(port: u16, ae_title: &str, witness: u16, held: &[&Sample]) -> BTreeMap<String, String> {
    let receiver = Storescp::start(witness);
    for study in studies(held) {
        move_study(port, ae_title, Storescp::AE_TITLE, &study);
    }
    receiver.received()
}

fn studies(samples: &[&Sample]) -> BTreeSet<String> {
    samples.iter().filter_map(|s| s.study.clone()).collect()
}

fn uncompressed(samples: &[Sample]) -> Vec<&Sample> {
    const NATIVE: [&str; 4] =
        ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];
    distinct(samples).into_iter().filter(|s| NATIVE.contains(&s.transfer_syntax.as_str())).collect()
}
