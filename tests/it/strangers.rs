//! Peers that are no source: what they are refused is told in the log, with what to do about it.

use pacsferry::assoc::{Proposal, Proposed, RequestTimeouts, request};
use pacsferry::dicom::AeTitle;
use pacsferry::sample::{Archive, Profile};

use crate::support::peers::{Ferry, PATIENCE, listens, until};
use crate::support::running::Running;
use crate::support::scene::Scene;

#[test]
fn whoever_sends_objects_and_is_no_source_is_named_with_the_remedy() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 1, 1);
    });
    let scene = Scene::keyed(archive, Profile::default(), &[("from", "[\"10.9.8.7\"]")]);
    let worker = Running::start(&scene.ferry, &["work"]);
    until("a receiver", PATIENCE, || listens(scene.ferry.receiver).then_some(()));
    let context = |class: &str| Proposed {
        abstract_syntax: class.to_owned(),
        transfer_syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
        scp_role: None,
    };
    let proposal = Proposal {
        called: AeTitle::new(Ferry::AE_TITLE).unwrap(),
        calling: AeTitle::new("WORKSTATION9").unwrap(),
        contexts: vec![context("1.2.840.10008.1.1"), context("1.2.840.10008.5.1.4.1.1.2")],
        max_pdu: 16_384,
        extended: Vec::new(),
    };
    let timeouts = RequestTimeouts { connect: PATIENCE, negotiate: PATIENCE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let association = runtime.block_on(request("127.0.0.1", scene.ferry.receiver, &proposal, &timeouts)).unwrap();
    assert!(association.context_for("1.2.840.10008.1.1").is_some(), "C-ECHO is for anybody");
    assert!(association.context_for("1.2.840.10008.5.1.4.1.1.2").is_none());
    until("a line in the log", PATIENCE, || {
        let said = worker.said();
        (said.contains("WORKSTATION9") && said.contains("add from = [\"127.0.0.1\"] to its [[source]]")).then_some(())
    });
    drop((association, worker));
}
