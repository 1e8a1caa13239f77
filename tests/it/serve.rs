//! The hospital's node: who is let in, and to what.

use crate::support::peers::{Ferry, distinct, echo, samples, send};

#[test]
fn without_peers_this_machine_may_do_everything() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let node = ferry.serve();
    assert_eq!(echo(ferry.node, "ANYBODY", Ferry::NODE), Ok(()));
    let samples = samples();
    let sent = distinct(&samples);
    // What was answered with success is durable, whatever becomes of the process then.
    let statuses = send(ferry.node, Ferry::NODE, &sent);
    drop(node);
    assert_eq!(statuses, vec![0; sent.len()]);
    let digests = sent.iter().map(|sample| (sample.sop_instance.clone(), sample.digest())).collect();
    assert_eq!(ferry.filed(), digests);
    assert!(ferry.served().contains("nobody but this machine"), "{}", ferry.served());
}

#[test]
fn who_is_not_configured_is_rejected_and_named_with_the_remedy() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], "[[peer]]\nae_title = \"WS1\"\naddress = \"10.9.8.7:104\"\nallow = [\"query\"]\n");
    let _node = ferry.serve();
    let refused = echo(ferry.node, "WS1", "WRONG").unwrap_err();
    assert!(refused.contains("Called AE Title Not Recognized"), "{refused}");
    // This machine may still ask whether the node is there.
    assert_eq!(echo(ferry.node, "WS1", Ferry::NODE), Ok(()));
}
