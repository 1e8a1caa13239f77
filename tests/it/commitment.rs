//! Storage commitment: only what is safe is committed, and the peer gets to know it whatever happens.

use std::path::Path;

use crate::support::peers::{
    Ask, Ferry, Modality, PATIENCE, Reference, Report, Sample, distinct, samples, send, string, until,
};

const RIGHTS: &str = "[\"store\", \"commit\"]";

fn scene(rights: &str) -> (Ferry, Modality) {
    let (ferry, modality) = (Ferry::new(), Modality::new());
    let sender = "[[peer]]\nae_title = \"SAMPLES\"\naddress = \"127.0.0.1:104\"\nallow = [\"store\"]\n";
    ferry.configure_with(&[], &(modality.peer(rights) + sender));
    (ferry, modality)
}

fn reference(sample: &Sample) -> Reference {
    (sample.sop_class.clone(), sample.sop_instance.clone())
}

/// Copies samples into a folder and imports them.
fn import(ferry: &Ferry, name: &str, samples: &[&Sample], how: &[&str]) {
    let folder = ferry.folder().join(name);
    std::fs::create_dir(&folder).unwrap();
    for (n, sample) in samples.iter().enumerate() {
        std::fs::copy(&sample.path, folder.join(n.to_string())).unwrap();
    }
    let done = ferry.run(&[&["import", name], how].concat());
    assert!([0, 3].contains(&done.code), "{}{}", done.out, done.err);
}

/// A sample with other pixels under the same UID.
fn with_other_pixels(sample: &Sample, folder: &Path) -> Sample {
    let mut bytes = std::fs::read(&sample.path).unwrap();
    // Not in the padding behind the pixels.
    let end = bytes.len() - 1000;
    bytes[end] ^= 0x55;
    let path = folder.join("other-pixels");
    std::fs::write(&path, bytes).unwrap();
    Sample { path, ..sample.clone() }
}

fn reported(modality: &Modality, count: usize) -> Vec<Report> {
    until("the report arrives", PATIENCE, || Some(modality.reports()).filter(|reports| reports.len() >= count))
}

#[test]
fn what_was_stored_is_committed_on_the_association_that_asked() {
    let (ferry, modality) = scene(RIGHTS);
    let _node = ferry.serve();
    let samples = samples();
    let sent: Vec<&Sample> = distinct(&samples).into_iter().take(12).collect();
    assert_eq!(send(ferry.node, Ferry::NODE, &sent), vec![0; sent.len()]);
    let instances: Vec<Reference> = sent.iter().map(|sample| reference(sample)).collect();
    let asked = modality.ask(&ferry, &Ask { stay: true, ..Ask::of("1.2.3.100", &instances) });
    assert_eq!(asked.status, Some(0));
    assert_eq!(
        asked.reports,
        [Report {
            event: 1,
            instance: "1.2.840.10008.1.20.1.1".into(),
            transaction: "1.2.3.100".into(),
            retrieve: Ferry::NODE.into(),
            committed: instances,
            failed: vec![],
            requestor: Modality::AE_TITLE.into(),
        }]
    );
}

#[test]
fn what_is_not_safe_is_told_with_its_reason_on_an_association_of_ours() {
    let (ferry, modality) = scene(RIGHTS);
    let samples = samples();
    let all = distinct(&samples);
    let pixels = all.iter().find(|s| s.path.ends_with("CT_small.dcm")).unwrap();
    let quarantined = samples.iter().find(|s| s.identified && !s.is_whole() && s.texts.contains_key("Rows")).unwrap();
    let others: Vec<&Sample> = all.iter().filter(|s| s.sop_instance != pixels.sop_instance).copied().take(6).collect();
    let [good, other_class, damaged, lost, linked, _] = others[..] else { panic!("too few samples") };
    import(&ferry, "one", &[good, other_class, damaged, lost, pixels, quarantined], &["--copy"]);
    import(&ferry, "two", &[linked], &["--link"]);
    import(&ferry, "three", &[&with_other_pixels(pixels, ferry.folder())], &["--copy"]);
    let rows = ferry.instances();
    let file = |sample: &Sample| ferry.storage().join(string(&rows[&sample.sop_instance], "file"));
    let mut bytes = std::fs::read(file(damaged)).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    std::fs::write(file(damaged), bytes).unwrap();
    std::fs::remove_file(file(lost)).unwrap();
    assert_eq!(rows[&linked.sop_instance]["linked"], true);

    let _node = ferry.serve();
    let _listening = modality.listen();
    let unknown = (good.sop_class.clone(), "1.2.3.4.5.6.7".to_owned());
    let wrong = ("1.2.840.10008.5.1.4.1.1.88.22".to_owned(), other_class.sop_instance.clone());
    let expected = [
        (reference(good), None),
        (unknown, Some(0x0112)),
        (wrong, Some(0x0119)),
        (reference(damaged), Some(0x0110)),
        (reference(lost), Some(0x0110)),
        (reference(linked), Some(0x0110)),
        (reference(pixels), Some(0x0110)),
        (reference(quarantined), Some(0x0110)),
    ];
    let instances: Vec<Reference> = expected.iter().map(|(reference, _)| reference.clone()).collect();
    let asked = modality.ask(&ferry, &Ask::of("1.2.3.101", &instances));
    assert_eq!((asked.status, asked.reports), (Some(0), vec![]));
    let report = reported(&modality, 1).remove(0);
    assert_eq!((report.event, report.transaction.as_str()), (2, "1.2.3.101"));
    assert_eq!(report.requestor, Ferry::NODE);
    assert_eq!(report.committed, [reference(good)]);
    let failed: Vec<_> =
        expected.iter().filter_map(|((c, i), reason)| Some((c.clone(), i.clone(), (*reason)?))).collect();
    assert_eq!(report.failed, failed);
}

#[test]
fn a_peer_that_is_away_is_told_when_it_comes_back_even_by_another_process() {
    let (ferry, modality) = scene(RIGHTS);
    let samples = samples();
    let kept = distinct(&samples)[0];
    import(&ferry, "one", &[kept], &["--copy"]);
    let instances = [reference(kept)];
    let node = ferry.serve();
    assert_eq!(modality.ask(&ferry, &Ask::of("1.2.3.102", &instances)).status, Some(0));
    // The same request again is the same; another one under its number is not.
    assert_eq!(modality.ask(&ferry, &Ask::of("1.2.3.102", &instances)).status, Some(0));
    let other = [("1.2".to_owned(), "1.2.3".to_owned())];
    assert_eq!(modality.ask(&ferry, &Ask::of("1.2.3.102", &other)).status, Some(0x0110));
    until("the node has tried", PATIENCE, || ferry.served().contains("cannot tell a peer").then_some(()));
    // Killed, as with kill -9.
    drop(node);
    let _listening = modality.listen();
    let _node = ferry.serve();
    let report = reported(&modality, 1).remove(0);
    assert_eq!((report.event, report.transaction.as_str(), report.committed.len()), (1, "1.2.3.102", 1));
    // The next one is not kept waiting by what was, and what was told is not told again.
    assert_eq!(modality.ask(&ferry, &Ask::of("1.2.3.103", &instances)).status, Some(0));
    let transactions: Vec<String> = reported(&modality, 2).into_iter().map(|report| report.transaction).collect();
    assert_eq!(transactions, ["1.2.3.102", "1.2.3.103"]);
}

#[test]
fn a_request_that_makes_no_sense_is_refused_and_a_peer_without_the_right_gets_no_context() {
    let (ferry, modality) = scene(RIGHTS);
    let _node = ferry.serve();
    let instances = [("1.2.840.10008.5.1.4.1.1.2".to_owned(), "1.2.3".to_owned())];
    let good = || Ask::of("1.2.3.104", &instances);
    for (what, ask, status) in [
        ("no transaction", Ask { transaction: "", ..good() }, 0x0115),
        ("nothing listed", Ask { instances: &[], ..good() }, 0x0115),
        ("another action", Ask { action: 2, ..good() }, 0x0123),
        ("another instance", Ask { instance: "1.2.3.4", ..good() }, 0x0112),
    ] {
        assert_eq!(modality.ask(&ferry, &ask).status, Some(status), "{what}");
    }
    let (ferry, modality) = scene("[\"store\"]");
    let _node = ferry.serve();
    assert_eq!(modality.ask(&ferry, &good()).status, None);
}
