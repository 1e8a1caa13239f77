//! What the node holds comes out of it: as it was filed where the receiver takes it so, by value where it takes only
//! another encoding, and by name where it cannot be had at all.

use std::collections::{BTreeMap, BTreeSet};

use pacsferry::dataset::{read_part10_head, value_digest};
use pacsferry::dicom::{SopClassUid, Status, TransferSyntaxUid, uids};

use crate::support::peers::{
    DCMTK_SYNTAXES, Ferry, Orthanc, Sample, Server, Storescp, different_to_pydicom, distinct, free_port, getscu,
    movescu, pynetdicom_retrieves, samples, send,
};
use crate::support::viewer::{self, Kinds, peer, study};

/// A node that holds the samples, and a port at which C-MOVE reaches `WITNESS`.
struct Site {
    ferry: Ferry,
    witness: u16,
    _node: Server,
}

impl Site {
    fn of(samples: &[&Sample]) -> Site {
        Site::with(samples, "")
    }

    /// With more keys of `[node]`.
    fn with(samples: &[&Sample], keys: &str) -> Site {
        let (ferry, witness) = (Ferry::new(), free_port());
        let peers = [("SAMPLES", 104), (Storescp::AE_TITLE, witness), (viewer::AE_TITLE, 104)];
        let peers: String = peers.iter().map(|(ae, port)| peer(ae, *port)).collect();
        ferry.configure_with(&[], &format!("{keys}{peers}"));
        let node = ferry.serve();
        assert_eq!(send(ferry.node, Ferry::NODE, samples), vec![0; samples.len()]);
        Site { ferry, witness, _node: node }
    }
}

/// The digest of every data set as it is on the wire, by SOP Instance UID: a deflated one of odd length gets a NUL there
/// (PS3.5 A.5).
fn digests(samples: &[&Sample]) -> BTreeMap<String, String> {
    let digest = |sample: &&Sample| {
        let mut data = sample.data_set();
        data.resize(data.len().next_multiple_of(2), 0);
        (sample.sop_instance.clone(), blake3::hash(&data).to_string())
    };
    samples.iter().map(digest).collect()
}

/// Both are the same; only what is not is told.
fn assert_same(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) {
    let uids: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let other: Vec<_> = uids.into_iter().filter(|uid| left.get(*uid) != right.get(*uid)).collect();
    assert!(other.is_empty(), "{other:?}");
}

fn studies(samples: &[&Sample]) -> Vec<String> {
    let studies: BTreeSet<_> = samples.iter().filter_map(|sample| sample.study.clone()).collect();
    studies.into_iter().collect()
}

fn is_native(syntax: &str) -> bool {
    [uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE, uids::DEFLATED_LE].contains(&syntax)
}

/// Every SOP class of the samples, each in these transfer syntaxes.
fn kinds_in(samples: &[&Sample], syntaxes: &[&str]) -> Kinds {
    let classes: BTreeSet<_> = samples.iter().map(|sample| sample.sop_class.as_str()).collect();
    let syntaxes: Vec<_> = syntaxes.iter().map(|syntax| TransferSyntaxUid::new(syntax)).collect();
    classes.into_iter().map(|class| (SopClassUid::new(class), syntaxes.clone())).collect()
}

/// What the values of a data set are, whatever its encoding; nothing where it is too damaged to tell.
fn values(bytes: &[u8], syntax: &str) -> Option<([u8; 32], [u8; 32])> {
    let digest = value_digest(bytes, &TransferSyntaxUid::new(syntax)).ok()?;
    Some((digest.header, digest.pixels))
}

#[test]
fn every_sample_moved_to_a_receiver_of_everything_is_byte_for_byte_what_was_filed() {
    let samples = samples();
    let sent: Vec<&Sample> = distinct(&samples)
        .into_iter()
        .filter(|sample| DCMTK_SYNTAXES.contains(&sample.transfer_syntax.as_str()))
        .collect();
    assert!(sent.len() > 100, "{}", sent.len());
    let site = Site::of(&sent);
    let witness = Storescp::start(site.witness);
    // All studies in one request: a list of UIDs.
    let all = studies(&sent).join("\\");
    let said =
        movescu(&site.ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={all}")]);
    assert!(said.contains("Pending") && said.contains("0x0000: Success"), "{said}");
    assert_same(&witness.received(), &digests(&sent));
}

#[test]
fn every_sample_is_got_byte_for_byte_on_a_context_of_its_own_syntax() {
    let samples = samples();
    let sent = distinct(&samples);
    let site = Site::of(&sent);
    let mut received = BTreeMap::new();
    for uid in studies(&sent) {
        let held: Vec<&Sample> = sent.iter().copied().filter(|sample| sample.study.as_ref() == Some(&uid)).collect();
        let kinds: BTreeSet<_> = held.iter().map(|s| (s.sop_class.as_str(), s.transfer_syntax.as_str())).collect();
        let kinds = kinds.iter().map(|(c, t)| (SopClassUid::new(c), vec![TransferSyntaxUid::new(t)])).collect();
        let seen = viewer::get(site.ferry.node, &kinds, &study(&uid));
        assert_eq!(seen.end.status, Status::SUCCESS, "{uid}: {:?}", seen.end);
        let counters = seen.end.counters;
        assert_eq!((counters.completed.map(usize::from), counters.failed), (Some(held.len()), Some(0)), "{uid}");
        received.extend(seen.received.into_iter().map(|(uid, (_, bytes))| (uid, blake3::hash(&bytes).to_string())));
    }
    assert_same(&received, &digests(&sent));
}

#[test]
fn where_only_one_encoding_is_taken_native_objects_are_converted_and_others_are_listed() {
    let samples = samples();
    let sent = distinct(&samples);
    let site = Site::with(&sent, "decompress = false\n");
    for to in [uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE] {
        let kinds = kinds_in(&sent, &[to]);
        for uid in studies(&sent) {
            let seen = viewer::get(site.ferry.node, &kinds, &study(&uid));
            let failed: BTreeSet<_> = seen.end.failed.iter().map(ToString::to_string).collect();
            for sample in sent.iter().filter(|sample| sample.study.as_ref() == Some(&uid)) {
                let before = values(&sample.data_set(), &sample.transfer_syntax);
                let name = sample.name();
                match seen.received.get(&sample.sop_instance) {
                    Some((syntax, bytes)) => {
                        assert!(is_native(&sample.transfer_syntax), "{name} was compressed");
                        assert_eq!(syntax.as_str(), to);
                        assert!(values(bytes, to).is_some_and(|after| Some(after) == before), "{name} into {to}");
                    }
                    // Compressed, or too damaged to be read through.
                    None => {
                        assert!(failed.contains(&sample.sop_instance), "{name} is neither there nor in the list");
                        assert!(!is_native(&sample.transfer_syntax) || before.is_none(), "{name} into {to}");
                    }
                }
            }
            assert_eq!(seen.end.status == Status::SUCCESS, failed.is_empty());
            assert_eq!(seen.end.counters.failed.map(usize::from), Some(failed.len()));
        }
    }
    let log = site.ferry.served();
    assert!(log.contains("have the receiver accept SOP class"), "{log}");
}

#[test]
fn what_was_converted_is_the_same_to_pydicom() {
    let samples = samples();
    let sent: Vec<&Sample> = distinct(&samples).into_iter().filter(|s| is_native(&s.transfer_syntax)).collect();
    let site = Site::of(&sent);
    let all = studies(&sent).join("\\");
    for accepts in ["+xi", "+xb"] {
        let witness = Storescp::start_with(site.witness, &[accepts]);
        let key = format!("StudyInstanceUID={all}");
        movescu(&site.ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &key]);
        let files = witness.files();
        let readable = sent.iter().filter(|s| values(&s.data_set(), &s.transfer_syntax).is_some());
        let pairs: Vec<_> = readable.map(|s| (&s.path, files.get(&s.sop_instance).expect(&s.sop_instance))).collect();
        assert!(pairs.len() > 50, "{}", pairs.len());
        assert_eq!(different_to_pydicom(&pairs), Vec::<String>::new(), "{accepts}");
    }
}

#[test]
fn getscu_gets_what_it_takes_in_either_root_and_at_every_level() {
    let samples = samples();
    let sent: Vec<&Sample> =
        distinct(&samples).into_iter().filter(|sample| sample.transfer_syntax == uids::EXPLICIT_LE).collect();
    let site = Site::of(&sent);
    // One with company in its study, and with a Patient ID.
    let company = |sample: &&&Sample| {
        sent.iter().filter(|other| other.study == sample.study).count() > 1 && sample.texts.contains_key("PatientID")
    };
    let one = *sent.iter().find(company).expect("a study of several objects");
    let (study, series) = (one.study.clone().unwrap(), one.series.clone().unwrap());
    let patient = &one.texts["PatientID"];
    let of = |wanted: &dyn Fn(&Sample) -> bool| -> BTreeMap<String, String> {
        digests(&sent.iter().copied().filter(|sample| wanted(sample)).collect::<Vec<_>>())
    };
    let of_patient = of(&|s| s.texts.get("PatientID") == Some(patient));
    let of_study = of(&|s| s.study.as_ref() == Some(&study));
    let of_series = of(&|s| s.study.as_ref() == Some(&study) && s.series.as_ref() == Some(&series));
    let alone = of(&|s| s.sop_instance == one.sop_instance);
    let key = |name: &str, value: &str| ["-k".to_owned(), format!("{name}={value}")];
    let (p, st) = (key("PatientID", patient), key("StudyInstanceUID", &study));
    let (se, i) = (key("SeriesInstanceUID", &series), key("SOPInstanceUID", &one.sop_instance));
    for (root, level, keys, expected) in [
        ("-P", "PATIENT", [p.clone()].concat(), &of_patient),
        ("-P", "STUDY", [p.clone(), st.clone()].concat(), &of_study),
        ("-P", "IMAGE", [p, st.clone(), se.clone(), i.clone()].concat(), &alone),
        ("-S", "STUDY", st.to_vec(), &of_study),
        ("-S", "SERIES", [st.clone(), se.clone()].concat(), &of_series),
        ("-S", "IMAGE", [st, se, i].concat(), &alone),
    ] {
        let level = key("QueryRetrieveLevel", level);
        let arguments: Vec<&str> = [root].into_iter().chain(level.iter().chain(&keys).map(String::as_str)).collect();
        assert_eq!(&getscu(&site.ferry, &arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_viewer_that_puts_all_it_takes_into_one_context_gets_what_is_held() {
    const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
    const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
    let samples = samples();
    for held in [JPEG_2000, uids::EXPLICIT_LE] {
        let one = distinct(&samples).into_iter().find(|sample| sample.transfer_syntax == held).expect(held);
        let Site { ferry, _node, .. } = Site::of(&[one]);
        // Restarted: what is held is looked at when an association comes, and then not for some seconds.
        drop(_node);
        let _node = ferry.serve();
        let folder = tempfile::tempdir().unwrap();
        let responses = pynetdicom_retrieves(&serde_json::json!({
            "port": ferry.node, "called": Ferry::NODE, "model": uids::STUDY_ROOT_GET, "folder": folder.path(),
            "classes": [one.sop_class], "syntaxes": [JPEG_LOSSLESS, uids::IMPLICIT_LE, JPEG_2000, uids::EXPLICIT_LE],
            "keys": [["QueryRetrieveLevel", "STUDY"], ["StudyInstanceUID", one.study]],
        }));
        assert_eq!(responses.last().map(|last| (last[0], last[2])), Some((Some(0), Some(1))), "{}", ferry.served());
        let received = std::fs::read(folder.path().join(&one.sop_instance)).unwrap();
        assert!(received == one.data_set(), "{held}");
    }
}

/// The samples in Explicit VR Little Endian of the patient who has the most of them.
fn of_one_patient(samples: &[Sample]) -> (String, Vec<&Sample>) {
    let mut patients: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for sample in distinct(samples).into_iter().filter(|sample| sample.transfer_syntax == uids::EXPLICIT_LE) {
        if let Some(patient) = sample.texts.get("PatientID") {
            patients.entry(patient.clone()).or_default().push(sample);
        }
    }
    patients.into_iter().max_by_key(|(_, samples)| samples.len()).expect("a patient")
}

#[test]
fn pynetdicom_gets_and_moves_a_patient_and_hears_how_far_it_is() {
    let samples = samples();
    let (patient, sent) = of_one_patient(&samples);
    assert!(sent.len() > 8, "{}", sent.len());
    let (ferry, listen) = (Ferry::new(), free_port());
    ferry.configure_with(&[], &[peer("SAMPLES", 104), peer(viewer::AE_TITLE, listen)].concat());
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    let classes: BTreeSet<_> = sent.iter().map(|sample| &sample.sop_class).collect();
    for (model, listen) in [(uids::PATIENT_ROOT_GET, None), (uids::PATIENT_ROOT_MOVE, Some(listen))] {
        let folder = tempfile::tempdir().unwrap();
        let responses = pynetdicom_retrieves(&serde_json::json!({
            "port": ferry.node, "called": Ferry::NODE, "model": model, "listen": listen, "folder": folder.path(),
            "classes": classes, "syntaxes": [uids::EXPLICIT_LE],
            "keys": [["QueryRetrieveLevel", "PATIENT"], ["PatientID", patient]],
        }));
        let received = std::fs::read_dir(folder.path()).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let digest = blake3::hash(&std::fs::read(entry.path()).unwrap()).to_string();
            (entry.file_name().into_string().unwrap(), digest)
        });
        assert_same(&received.collect(), &digests(&sent));
        let all = u16::try_from(sent.len()).unwrap();
        let (last, pending) = responses.split_last().unwrap();
        assert_eq!(*last, [Some(0), None, Some(all), Some(0), Some(0)], "{model}");
        assert!(!pending.is_empty());
        for [status, remaining, completed, ..] in pending {
            assert_eq!((*status, remaining.unwrap() + completed.unwrap()), (Some(0xFF00), all), "{model}");
        }
    }
}

#[test]
fn orthanc_fetches_what_the_node_holds() {
    let samples = samples();
    let (_, sent) = of_one_patient(&samples);
    let ferry = Ferry::new();
    let orthanc = Orthanc::start(&[(Ferry::NODE, ferry.node)], 0);
    ferry.configure_with(&[], &[peer("SAMPLES", 104), peer(Orthanc::AE_TITLE, orthanc.port)].concat());
    let _node = ferry.serve();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    for study in studies(&sent) {
        assert!(orthanc.fetch(Ferry::NODE, &study), "{study}: {}", ferry.served());
    }
    // Orthanc writes data sets anew: the values are what has to be the same.
    let received: BTreeMap<_, _> = orthanc
        .files()
        .into_iter()
        .map(|file| {
            let head = read_part10_head(&file).unwrap();
            let at = usize::try_from(head.data_set_offset).unwrap();
            let syntax = head.transfer_syntax.expect("a transfer syntax");
            (head.sop_instance.expect("a UID").to_string(), values(&file[at..], syntax.as_str()))
        })
        .collect();
    let expected = sent.iter().map(|s| (s.sop_instance.clone(), values(&s.data_set(), &s.transfer_syntax)));
    assert_eq!(received.len(), sent.len());
    for (uid, values) in expected {
        assert!(values.is_some() && received.get(&uid) == Some(&values), "{uid}");
    }
}
