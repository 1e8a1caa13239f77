//! DICOM over TLS with other implementations: who is let in, who is not and why, and what goes over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacsferry::config::{ClientTls, KeyPair, ServerTls};
use pacsferry::sample::{Archive, Profile};
use serde_json::{Value, json};

use crate::support::certificates::{Authority, Identity};
use crate::support::peers::{
    Ferry, PATIENCE, Sample, Server, Source, Storescp, dcmtk_tls, distinct, echo, echo_by, finish, free_port, movescu,
    samples, send, text, until,
};
use crate::support::scene::Scene;

/// A `[[peer]]` on this machine, that may do everything.
fn peer(ae_title: &str, more: &str) -> String {
    format!(
        "[[peer]]\nae_title = \"{ae_title}\"\naddress = \"127.0.0.9:104\"\nfrom = [\"127.0.0.1\"]\n\
         allow = [\"query\", \"retrieve\", \"store\"]\n{more}\n"
    )
}

/// A node that speaks TLS and knows these peers.
struct Hospital {
    authority: Authority,
    ferry: Ferry,
    _node: Server,
}

impl Hospital {
    fn with(peers: &str) -> Self {
        let (authority, ferry) = (Authority::new("Hospital"), Ferry::new());
        let own = authority.issue("node", 365);
        ferry.configure_with(&[], &(authority.server(&own) + peers));
        let node = ferry.serve();
        Hospital { authority, ferry, _node: node }
    }

    fn echo(&self, own: &Identity, calling: &str) -> Result<String, String> {
        dcmtk_tls("echoscu", &self.authority, own, self.ferry.node, &["-aet", calling])
    }

    fn ask(&self, own: Option<&Identity>, calling: &str, more: Value) -> Value {
        echo_by(&self.authority, own, self.ferry.node, calling, more)
    }

    fn logs(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.ferry.served().contains(what) {
            assert!(Instant::now() < deadline, "{what}: not in the log:\n{}", self.ferry.served());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

fn one_sample() -> Sample {
    let samples = samples();
    distinct(&samples).into_iter().find(|s| s.name() == "CT_small.dcm").cloned().expect("CT_small.dcm")
}

#[test]
fn dcmtk_and_pynetdicom_come_in_by_tls_with_the_certificate_of_their_ae_title() {
    let hospital = Hospital::with(&peer("WS1", "certificate = [\"viewer.example\"]"));
    let viewer = hospital.authority.issue("viewer", 100);
    hospital.echo(&viewer, "WS1").unwrap();
    let sample = one_sample();
    let path = sample.path.display().to_string();
    let tool = |name: &str, arguments: &[&str]| {
        dcmtk_tls(name, &hospital.authority, &viewer, hospital.ferry.node, &[&["-aet", "WS1"], arguments].concat())
    };
    tool("storescu", &["-R", &path]).unwrap();
    // storescu writes the data set anew, so that only its name is the same.
    assert!(hospital.ferry.filed().into_keys().eq([sample.sop_instance.clone()]));
    let study = sample.study.clone().unwrap();
    let found = tool("findscu", &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]).unwrap();
    assert!(found.contains(&study), "{found}");
    // Both versions, and the ciphers of the profile.
    for (version, shown) in [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")] {
        let answer = hospital.ask(Some(&viewer), "WS1", json!({ "version": version }));
        assert_eq!((&answer["status"], &answer["version"]), (&json!(0), &json!(shown)), "{answer}");
    }
}

#[test]
fn whoever_shows_no_good_certificate_is_kept_out_with_a_reason() {
    let hospital = Hospital::with(
        &(peer("WS1", "")
            + &peer("WS2", "certificate = [\"SHA256:FINGERPRINT\"]").replace("FINGERPRINT", &"00".repeat(32))),
    );
    let (viewer, other) = (hospital.authority.issue("WS1", 100), hospital.authority.issue("WS2", 100));
    // Of one address the log tells the same only a few times, so that these come first.
    let elsewhere = Authority::new("Elsewhere");
    let stranger = elsewhere.issue("WS1", 100);
    assert!(hospital.echo(&stranger, "WS1").is_err());
    hospital.logs("signed by nobody whom we trust");
    assert!(hospital.echo(&hospital.authority.issue("old", -1), "WS1").is_err());
    hospital.logs("the caller's certificate has expired");
    // Without a rule a certificate fits that names the AE title.
    hospital.echo(&viewer, "WS1").unwrap();
    for (own, calling) in [(&other, "WS1"), (&viewer, "WS2"), (&other, "WS2")] {
        let refused = hospital.echo(own, calling).unwrap_err();
        assert!(refused.contains("Calling AE Title Not Recognized"), "{refused}");
    }
    hospital.logs(
        "its certificate does not belong to its AE title; if it is the right machine, add certificate = [\"SHA256:",
    );
}

#[test]
fn one_who_shows_nothing_or_speaks_something_old_or_plain_is_kept_out() {
    let hospital = Hospital::with(&peer("WS1", ""));
    let viewer = hospital.authority.issue("WS1", 100);
    let established =
        |own: Option<&Identity>, more: Value| hospital.ask(own, "WS1", more)["established"] == json!(true);
    assert!(established(Some(&viewer), json!({})));
    assert!(echo(hospital.ferry.node, "WS1", Ferry::NODE).is_err());
    hospital.logs("the port speaks TLS, and the caller began with an A-ASSOCIATE-RQ");
    assert!(!established(None, json!({})));
    hospital.logs("the caller showed no certificate");
    assert!(!established(Some(&viewer), json!({ "version": "TLSv1_1" })));
    hospital.logs("it offers nothing that is safe enough");
    // A cipher that the profile does not permit.
    assert!(!established(Some(&viewer), json!({ "version": "TLSv1_2", "ciphers": "AES256-GCM-SHA384" })));
    // What came before is no trouble for what comes after; and a certificate is shown for every association.
    assert!(established(Some(&viewer), json!({})));
    for version in ["TLSv1_2", "TLSv1_3"] {
        let answer = hospital.ask(Some(&viewer), "WS1", json!({ "resume": true, "version": version }));
        assert_eq!(answer["reused"], json!(false), "{answer}");
    }
}

#[test]
fn tls_on_a_plain_port_is_named() {
    let (authority, ferry) = (Authority::new("Hospital"), Ferry::new());
    ferry.configure(&[]);
    let _node = ferry.serve();
    let viewer = authority.issue("WS1", 100);
    assert!(dcmtk_tls("echoscu", &authority, &viewer, ferry.node, &["-aet", "WS1"]).is_err());
    until("a line in the log", PATIENCE, || {
        ferry.served().contains("the other side speaks TLS on this connection").then_some(())
    });
    assert_eq!(echo(ferry.node, "WS1", Ferry::NODE), Ok(()));
}

#[test]
fn a_user_is_asked_for_over_tls_and_its_passcode_is_nowhere() {
    let ferry = Ferry::new();
    let secret = ferry.folder().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let mut command = ferry.command(&["passcode"]);
    // The configuration is not needed for it.
    let made = {
        command.stdin(std::fs::File::open(&secret).unwrap());
        command.output().unwrap()
    };
    let hash = text(&made.stdout);
    assert!(hash.starts_with("passcode_hash = \"pbkdf2-sha256:"), "{hash}{}", text(&made.stderr));
    let hospital = Hospital::with(&peer("WS1", &format!("user = \"ali\"\n{hash}")));
    let viewer = hospital.authority.issue("WS1", 100);
    let good = hospital.ask(Some(&viewer), "WS1", json!({ "user": "ali", "passcode": "open sesame" }));
    assert_eq!((&good["status"], &good["said"]), (&json!(0), &json!(true)), "{good}");
    for wrong in [
        json!({ "user": "ali", "passcode": "open sesam" }),
        json!({ "user": "baba", "passcode": "open sesame" }),
        json!({ "user": "ali" }),
        json!({}),
    ] {
        let answer = hospital.ask(Some(&viewer), "WS1", wrong);
        assert_eq!(answer["rejected"], json!([1, 1, 1]), "{answer}\n{}", hospital.ferry.served());
    }
    hospital.logs("its user is not the one that the peer must name");
    assert!(!hospital.ferry.served().contains("sesam"));
}

#[test]
fn a_certificate_that_is_replaced_is_shown_to_the_next_caller() {
    let hospital = Hospital::with(&peer("WS1", ""));
    let viewer = hospital.authority.issue("WS1", 100);
    let ask = |fingerprints: &Authority| {
        echo_by(fingerprints, Some(&viewer), hospital.ferry.node, "WS1", json!({}))["established"] == json!(true)
    };
    assert!(ask(&hospital.authority));
    // The node gets a certificate of another authority, whose name is longer, so that the file changes in any case.
    let next = Authority::new("Another Authority Altogether");
    let own = next.issue("node-of-another-authority", 100);
    let place = hospital.authority.ca().with_file_name("node.pem");
    std::fs::copy(&own.key, place.with_file_name("node.key")).unwrap();
    std::fs::copy(&own.cert, &place).unwrap();
    until("the new certificate", PATIENCE, || ask(&next).then_some(()));
    assert!(!ask(&hospital.authority));
}

#[test]
fn c_move_sends_by_tls_to_a_destination_that_speaks_it() {
    let (authority, ferry) = (Authority::new("Hospital"), Ferry::new());
    let (own, witness) = (authority.issue("node", 365), authority.issue("witness", 365));
    let port = free_port();
    let file = |path: &std::path::PathBuf| path.display().to_string();
    let storescp = Storescp::start_with(
        port,
        &["+xa", "+tls", &file(&witness.key), &file(&witness.cert), "+cf", &file(&authority.ca())],
    );
    let destination = format!(
        "[[peer]]\nae_title = \"{}\"\naddress = \"127.0.0.1:{port}\"\nallow = [\"retrieve\"]\ntls = {}\n",
        Storescp::AE_TITLE,
        authority.client(&own)
    );
    ferry.configure_with(&[], &(peer("SAMPLES", "") + &destination));
    let _node = ferry.serve();
    let sample = one_sample();
    assert_eq!(send(ferry.node, Ferry::NODE, &[&sample]), [0]);
    let study = format!("StudyInstanceUID={}", sample.study.clone().unwrap());
    let said = movescu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &study]);
    assert_eq!(
        storescp.received(),
        BTreeMap::from([(sample.sop_instance.clone(), sample.digest())]),
        "{said}\n{}",
        ferry.served()
    );
}

#[test]
fn an_old_pacs_that_speaks_tls_is_carried_over_by_tls_both_ways() {
    let authority = Authority::new("Hospital");
    let (own, old) = (authority.issue("ferry", 365), authority.issue("oldpacs", 365));
    let pair = |own: &Identity| KeyPair { cert: own.cert.clone(), key: own.key.clone() };
    let profile = Profile {
        tls: Some(ServerTls { own: pair(&old), client_ca: Some(authority.ca()) }),
        destination_tls: Some(Arc::new(ClientTls { ca: authority.ca(), own: Some(pair(&old)), name: None })),
        ..Profile::default()
    };
    let archive = Archive::with(|b| {
        b.studies("20240301", 3, 4);
    });
    let scene = Scene::new(archive, profile);
    let configure = |certificate: &str| {
        let keys = format!(
            "settle = \"300ms\"\nattempts = 2\nretry = {{ first = \"50ms\", longest = \"100ms\" }}\n\
             tls = {{ ca = {:?} }}\ncertificate = [\"{certificate}\"]\n",
            authority.ca()
        );
        let source = Source { name: "oldpacs", ae_title: "OLDPACS", port: scene.pacs.addr().port(), keys: &keys };
        let receiver =
            format!("[receiver.tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n", own.cert, own.key, authority.ca());
        scene.ferry.configure_with(&[source], &receiver);
    };
    // The certificate of somebody else does not pass for that of the old PACS.
    configure("somebody.example");
    let refused = scene.migrate();
    assert_ne!(refused.code, 0, "{}{}", refused.out, refused.err);
    assert_eq!(scene.ferry.filed(), BTreeMap::new());
    configure("oldpacs.example");
    scene.proves_everything();
}

#[test]
fn check_tells_what_is_wrong_with_certificates() {
    let (authority, ferry) = (Authority::new("Hospital"), Ferry::new());
    let own = authority.issue("node", 5);
    ferry.configure_with(&[], &authority.server(&own));
    let findings = |ferry: &Ferry| -> Vec<(String, String)> {
        let said = ferry.json(&["check", "--json"]);
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let all = said["findings"].as_array().unwrap().iter();
        all.filter(|f| f["where"] == "node.tls").map(|f| (text(f, "level"), text(f, "message"))).collect()
    };
    let soon = findings(&ferry);
    assert!(soon.len() == 1 && soon[0].0 == "warning" && soon[0].1.contains("expires on 20"), "{soon:?}");
    let other = authority.issue("other", 100);
    std::fs::copy(&other.key, &own.key).unwrap();
    let wrong = findings(&ferry);
    assert!(wrong[0].0 == "error" && wrong[0].1.contains("is not that of the certificate"), "{wrong:?}");
    // With such files nothing listens.
    let refused = finish(ferry.command(&["serve", "--no-worker"]), PATIENCE);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("openssl pkey -pubout"), "{said}");
}
