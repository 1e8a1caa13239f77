//! The node answers queries as PS3.4 annex C says: to `findscu` and to pynetdicom, in many tongues, within its limits.

use std::collections::BTreeSet;

use pacsferry::assoc::{Proposal, Proposed, RequestTimeouts, request};
use pacsferry::catalog::{Attribute, Catalog, synthetic};
use pacsferry::dataset::Elements;
use pacsferry::dicom::{AeTitle, Encoding, QueryLevel, Status, tags, uids};
use pacsferry::dimse::{Command, Session};
use serde_json::json;

use crate::support::peers::{Answers, Ferry, PATIENCE, Question, Server, findscu, hospital, until};

/// A node that holds the small hospital; further keys of `[node]`.
fn site(keys: &str) -> (Ferry, Server) {
    let ferry = Ferry::new();
    ferry.configure_with(&[], keys);
    let folder = ferry.folder().join("hospital");
    std::fs::create_dir(&folder).unwrap();
    hospital(&folder);
    let done = ferry.run(&["import", "--copy", folder.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    let node = ferry.serve();
    (ferry, node)
}

/// A node with so many synthetic studies.
fn large(studies: u64, keys: &str) -> (Ferry, Server) {
    let ferry = Ferry::new();
    ferry.configure_with(&[], keys);
    let catalog = Catalog::open(&ferry.folder().join("catalog.db")).unwrap();
    synthetic::fill(&catalog, studies, 1).unwrap();
    catalog.close().unwrap();
    let node = ferry.serve();
    (ferry, node)
}

fn ask(ferry: &Ferry, root: &'static str, keys: serde_json::Value) -> Answers {
    let answers = Question::of(root, keys).ask(ferry);
    assert_eq!((answers.status, answers.comment.as_str()), (0, ""));
    answers
}

#[test]
fn findscu_is_answered_at_every_level_of_both_roots_in_every_encoding() {
    let (ferry, _node) = site("");
    let study = "StudyInstanceUID=1.2.826.0.1.1";
    let series = "SeriesInstanceUID=1.2.826.0.1.1.1";
    for (options, keys, answers) in [
        (&["-S"][..], &["QueryRetrieveLevel=STUDY", "StudyDate"][..], 5),
        (&["-S", "-xi"], &["QueryRetrieveLevel=STUDY", "PatientName=*a*"], 3),
        (&["-S", "-xd"], &["QueryRetrieveLevel=STUDY", "StudyDate=20240101-"], 3),
        (&["-S", "-xb"], &["QueryRetrieveLevel=STUDY", "ModalitiesInStudy=SR"], 1),
        (&["-S"], &["QueryRetrieveLevel=SERIES", study, "Modality"], 2),
        (&["-S"], &["QueryRetrieveLevel=IMAGE", study, series, "SOPInstanceUID"], 2),
        (&["-P"], &["QueryRetrieveLevel=PATIENT", "PatientID"], 5),
        (&["-P"], &["QueryRetrieveLevel=STUDY", "PatientID=A1"], 1),
        (&["-P"], &["QueryRetrieveLevel=SERIES", "PatientID=A1", study], 2),
        (&["-P"], &["QueryRetrieveLevel=IMAGE", "PatientID=A1", study, series], 2),
        (&["-P"], &["QueryRetrieveLevel=SERIES", "PatientID=E5", study], 0),
    ] {
        let keys: Vec<&str> = keys.iter().flat_map(|key| ["-k", key]).collect();
        let said = findscu(&ferry, &[options, &keys].concat());
        let pending = said.matches("Received Find Response").count();
        assert_eq!(pending, answers, "{options:?} {keys:?}\n{said}");
        assert!(said.contains("Final Find Response") && said.contains("0x0000: Success"), "{said}");
    }
    let said = findscu(&ferry, &["-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "Modality=CT"]);
    assert!(said.contains("0xa900") && said.contains("Study Instance UID is needed at SERIES level"), "{said}");
    assert!(ferry.served().contains("refused a query"), "{}", ferry.served());
    let audited = until("the queries in the audit trail", PATIENCE, || {
        let catalog = Catalog::open(&ferry.folder().join("catalog.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let entries = runtime.block_on(catalog.audit_since(0, 0, 1000)).unwrap();
        let queries: Vec<_> = entries.into_iter().filter(|entry| entry.event == "query").collect();
        (queries.len() == 12).then_some(queries)
    });
    let outcomes: Vec<u8> = audited.iter().map(|entry| entry.outcome).collect();
    assert_eq!((outcomes.iter().filter(|outcome| **outcome == 0).count(), outcomes.last()), (11, Some(&4)));
    assert!(audited.iter().all(|entry| entry.who.contains("FINDER")), "{audited:?}");
    assert!(!ferry.served().contains("Doe") && !ferry.served().contains("20240101"), "no patient data in logs");
}

#[test]
fn counts_modalities_and_what_is_always_told_are_in_the_answers() {
    let (ferry, _node) = site("");
    let keys = json!({
        "QueryRetrieveLevel": "STUDY", "PatientID": "A1", "ModalitiesInStudy": "", "SOPClassesInStudy": "",
        "NumberOfStudyRelatedSeries": "", "NumberOfStudyRelatedInstances": "", "NumberOfPatientRelatedStudies": "",
        "InstitutionName": "", "RequestAttributesSequence": {"ScheduledProcedureStepID": ""},
    });
    let answers = ask(&ferry, "S", keys.clone());
    let row = &answers.rows[0];
    for (keyword, value) in [
        ("QueryRetrieveLevel", "STUDY"),
        ("RetrieveAETitle", "PACSFERRY"),
        ("InstanceAvailability", "ONLINE"),
        ("StudyInstanceUID", "1.2.826.0.1.1"),
        ("NumberOfStudyRelatedSeries", "2"),
        ("NumberOfStudyRelatedInstances", "4"),
        ("NumberOfPatientRelatedStudies", "1"),
        ("InstitutionName", ""),
        ("RequestAttributesSequence", "SQ"),
    ] {
        assert_eq!(row.get(keyword).map(String::as_str), Some(value), "{keyword}: {row:?}");
    }
    // In the order in which they came.
    let values = |keyword: &str| row[keyword].split('\\').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(values("ModalitiesInStudy"), ["CT", "SR"].map(str::to_owned).into());
    let classes = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"];
    assert_eq!(values("SOPClassesInStudy"), classes.map(str::to_owned).into());
    assert_eq!(answers.pending, [0xFF00], "nothing was to match that cannot");
    for unmatched in [
        json!({ "QueryRetrieveLevel": "STUDY", "PatientID": "A1", "InstitutionName": "Clinic" }),
        json!({ "QueryRetrieveLevel": "STUDY", "PatientID": "A1",
                "RequestAttributesSequence": {"ScheduledProcedureStepID": "X"} }),
    ] {
        assert_eq!(ask(&ferry, "S", unmatched).pending, [0xFF01]);
    }
    let patient = ask(
        &ferry,
        "P",
        json!({ "QueryRetrieveLevel": "PATIENT", "PatientName": "doe^*",
        "NumberOfPatientRelatedInstances": "", "NumberOfPatientRelatedSeries": "" }),
    );
    let counts = ["PatientID", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances"];
    assert_eq!(counts.map(|keyword| patient.all(keyword)), [["E5"], ["1"], ["3"]]);
}

#[test]
fn names_are_asked_for_and_told_in_the_character_set_of_the_query() {
    let (ferry, _node) = site("");
    for (charset, name, answered, patients) in [
        (json!("ISO_IR 100"), "MÜLLER*", "ISO_IR 100", &["A1"][..]),
        (json!(null), "muller*", "ISO_IR 192", &["A1"]),
        (json!("ISO_IR 192"), "müller^jürgen", "ISO_IR 192", &["A1"]),
        (json!("ISO_IR 101"), "łukasz", "ISO_IR 101", &["C3"]),
        (json!("ISO_IR 100"), "lukasz", "ISO_IR 192", &["C3"]),
        (json!(["", "ISO 2022 IR 87"]), "山田*", "\\ISO 2022 IR 87", &["B2"]),
        (json!("ISO_IR 192"), "*たろう", "ISO_IR 192", &["B2"]),
        (json!("ISO_IR 144"), "люкceмбypг", "ISO_IR 144", &["D4"]),
        (json!(null), "doe", "", &["E5"]),
        (json!("ISO_IR 192"), "mueller", "", &[]),
    ] {
        let keys =
            json!({ "QueryRetrieveLevel": "STUDY", "PatientName": name, "PatientID": "", "StudyDescription": "" });
        let answers = Question { charset: charset.clone(), ..Question::of("S", keys) }.ask(&ferry);
        assert_eq!((answers.status, answers.all("PatientID")), (0, patients.to_vec()), "{charset} {name}");
        let Some(row) = answers.rows.first() else { continue };
        assert_eq!(row.get("SpecificCharacterSet").map_or("", String::as_str), answered, "{charset} {name}");
        let stored =
            ["Müller^Jürgen", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Łukasz^Nowak", "Люкceмбypг", "Doe^Jane"];
        assert!(stored.contains(&row["PatientName"].as_str()), "{row:?}");
        assert_eq!(row["StudyDescription"], if row["PatientID"] == "A1" { "Schädel" } else { "Head" });
    }
}

#[test]
fn what_is_negotiated_changes_what_may_be_asked_and_what_matches() {
    let (ferry, _node) = site("");
    let asked = |extended, keys| Question { extended, ..Question::of("S", keys) }.ask(&ferry);
    let series = json!({ "QueryRetrieveLevel": "SERIES", "Modality": "SR", "SeriesInstanceUID": "" });
    let refused = asked(&[], series.clone());
    assert_eq!((refused.status, refused.offending.as_slice()), (0xA900, &[0x0020_000D][..]), "{}", refused.comment);
    let relational = asked(&[1], series);
    assert_eq!((relational.status, relational.agreed.as_slice()), (0, &[1][..]));
    assert_eq!(relational.all("SeriesInstanceUID"), ["1.2.826.0.1.1.2"]);
    let instances = json!({ "QueryRetrieveLevel": "IMAGE", "PatientName": "doe*", "SOPInstanceUID": "" });
    assert_eq!(asked(&[1, 0, 0], instances).rows.len(), 3);

    // Around midnight: as one stretch of time, and as times of each day.
    let night = json!({ "QueryRetrieveLevel": "STUDY", "PatientID": "", "StudyDate": "20240111-20240112", "StudyTime": "2300-0100" });
    let combined = asked(&[0, 1, 0, 1], night.clone());
    assert_eq!((combined.agreed.as_slice(), combined.all("PatientID")), (&[0, 1, 0, 0][..], vec!["B2", "C3"]));
    let day = json!({ "QueryRetrieveLevel": "STUDY", "PatientID": "", "StudyDate": "20240110-20240112", "StudyTime": "1000-0015" });
    assert_eq!(asked(&[0, 1], day.clone()).all("PatientID"), ["A1", "B2"]);
    assert_eq!(asked(&[], night).all("PatientID"), ["B2", "C3"], "a range of times may go over midnight");
    assert_eq!(asked(&[], day).all("PatientID"), ["A1", "B2"]);

    let fuzzy = json!({ "QueryRetrieveLevel": "STUDY", "PatientID": "", "PatientName": "jurgen mueller" });
    assert_eq!(asked(&[0, 0, 1], fuzzy.clone()).all("PatientID"), ["A1"]);
    assert!(asked(&[0, 0, 0], fuzzy).rows.is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let (ferry, _node) = site("");
    for (root, keys, status, offending, comment) in [
        ("S", json!({ "PatientID": "A1" }), 0xA900, 0x0008_0052, "a level is needed"),
        ("S", json!({ "QueryRetrieveLevel": "PATIENT" }), 0xA900, 0x0008_0052, "the level must be"),
        ("P", json!({ "QueryRetrieveLevel": "STUDY" }), 0xA900, 0x0010_0020, "Patient ID is needed"),
        ("S", json!({ "QueryRetrieveLevel": "STUDY", "StudyDate": "2024*" }), 0xA900, 0x0008_0020, "YYYYMMDD"),
        (
            "S",
            json!({ "QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.2", "1.3"] }),
            0xA900,
            0x0020_000D,
            "single",
        ),
    ] {
        let answers = Question::of(root, keys.clone()).ask(&ferry);
        assert_eq!((answers.status, answers.offending.as_slice(), answers.rows.len()), (status, &[offending][..], 0));
        assert!(answers.comment.contains(comment), "{keys}: {}", answers.comment);
    }
    // The association is as good as before.
    assert_eq!(ask(&ferry, "S", json!({ "QueryRetrieveLevel": "STUDY" })).rows.len(), 5);
}

#[test]
fn every_one_of_many_answers_comes_once() {
    let (ferry, _node) = large(3000, "");
    let all = ask(&ferry, "S", json!({ "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "" }));
    let uids: BTreeSet<_> = all.all("StudyInstanceUID").into_iter().collect();
    assert_eq!((uids.len(), all.rows.len()), (3000, 3000));
}

#[test]
fn a_query_of_many_answers_can_be_cancelled() {
    const STUDIES: u64 = 20_000;
    let (ferry, _node) = large(STUDIES, "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let find = uids::STUDY_ROOT_FIND;
        let proposed = Proposed {
            abstract_syntax: find.into(),
            transfer_syntaxes: vec![uids::IMPLICIT_LE.into()],
            scp_role: None,
        };
        let proposal = Proposal {
            called: AeTitle::new(Ferry::NODE).unwrap(),
            calling: AeTitle::new("FINDER").unwrap(),
            contexts: vec![proposed],
            max_pdu: 16_384,
            extended: Vec::new(),
            tls: None,
            identity: None,
        };
        let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
        let mut session = Session::new(request("127.0.0.1", ferry.node, &proposal, &timeouts).await.unwrap());
        let mut keys = Elements::new();
        keys.put(tags::QUERY_RETRIEVE_LEVEL, "STUDY");
        for attribute in Attribute::of(QueryLevel::Study) {
            keys.put(attribute.tag, "");
        }
        let keys = keys.write(Encoding::ImplicitLe);
        session.send(1, &Command::find_rq(7, find), Some(&keys), PATIENCE).await.unwrap();
        // Nothing is read before the cancel is sent: the answers are more than the buffers of the system hold, so that it
        // comes in the middle of them.
        session.send(1, &Command::cancel_rq(7), None, PATIENCE).await.unwrap();
        let mut answers = 0;
        let end = loop {
            let (_, response) = session.receive(PATIENCE).await.unwrap().unwrap();
            match response.has_data_set {
                true => session.discard_data(PATIENCE).await.unwrap(),
                false => break response,
            }
            answers += 1;
        };
        assert_eq!((end.status, end.message_id), (Some(Status::CANCEL), 7));
        assert!(answers < STUDIES, "{answers}");
        session.release(PATIENCE).await;
    });
}

#[test]
fn a_cap_ends_with_a_failure_and_never_silently() {
    let (ferry, node) = large(120, "find_limit = 100\n");
    let keys = |patient: &str| json!({ "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientID": patient });
    let capped = Question::of("S", keys("")).ask(&ferry);
    assert_eq!((capped.status, capped.rows.len()), (0xA700, 100));
    assert_eq!(capped.comment, "more than 100 match; narrow the keys");
    // As many as allowed are no failure.
    let one = synthetic::listed(1, 1);
    assert_eq!(ask(&ferry, "S", keys(&one.patient_id)).all("StudyInstanceUID"), [one.study_uid.as_str()]);
    drop(node);
    ferry.configure_with(&[], "find_limit = 120\n");
    let _node = ferry.serve();
    assert_eq!(ask(&ferry, "S", keys("")).rows.len(), 120);
}
