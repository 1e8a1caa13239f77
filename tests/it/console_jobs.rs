//! The console's pages about jobs: the report and who agrees to it, pictures, nodes, stopping and starting again.

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, tags, uids};
use pacsferry::sample::{Archive, Cap, Profile};
use serde_json::json;

use crate::support::console::{first_password, signed_in};
use crate::support::peers::{Dcmqrscp, Ferry, PATIENCE, Server, Source, distinct, samples, until};
use crate::support::running::started_worker;
use crate::support::scene::Scene;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";

/// A study that the source does not have.
const NOWHERE: &str = "1.2.3.4.5";

/// An old PACS, what is migrated from it, and a study that it does not have.
fn migrated() -> (Ferry, Dcmqrscp) {
    let samples = samples();
    let ferry = Ferry::new();
    let pacs = Dcmqrscp::start(&distinct(&samples), &[(Ferry::AE_TITLE, ferry.receiver)], None);
    let source = Source {
        name: "oldpacs",
        ae_title: Dcmqrscp::AE_TITLE,
        port: pacs.port,
        keys: "attempts = 1\nsettle = \"1s\"",
    };
    ferry.configure_with(&[source], ROLES);
    let all = ferry.run(&["migrate", "oldpacs"]);
    assert!(matches!(all.code, 0 | 3), "{}", all.err);
    let nowhere = ferry.run(&["migrate", "oldpacs", "--study", NOWHERE]);
    assert_eq!(nowhere.code, 3, "{}", nowhere.err);
    (ferry, pacs)
}

#[test]
fn what_stays_behind_is_explained_approved_and_tried_again() {
    let (ferry, _pacs) = migrated();
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let reader = signed_in(&ferry, "otto", "readers");
    let page = browser.get("/jobs/2/report");
    for text in
        [NOWHERE, "not found at source", "look for the study in the old PACS", "pacsferry job 2 retry", "0 of 1"]
    {
        assert!(page.body.contains(text), "{text} is not in {}", page.body);
    }
    assert!(browser.get("/jobs/2/report?state=proven").body.contains("No such studies"));
    assert!(browser.get("/jobs/2/report?reason=timed+out&year=2017&modality=CT").body.contains("No such studies"));
    assert_eq!(browser.get("/jobs/2/report?state=nonsense").status, 400);
    // Found in the larger one by what is asked for.
    let all = browser.get("/api/v1/jobs/1/studies?state=all").json();
    let first = all["studies"][0].clone();
    let uid = first["study_uid"].as_str().unwrap();
    let found = browser.get(&format!("/api/v1/jobs/1/studies?state=all&text={uid}")).json();
    assert_eq!(found["studies"], json!([first]), "{found}");

    let approve =
        [("action", "approve"), ("study", NOWHERE), ("why", "was deleted <b>years</b> ago"), ("back", "report")];
    assert_eq!(reader.post("/jobs/2", &approve).status, 403);
    assert_eq!(browser.post("/jobs/2", &approve[..2]).status, 400, "why?");
    assert_eq!(
        browser.post("/jobs/1", &[("action", "approve"), ("study", uid), ("why", "x")]).status,
        409,
        "is proven"
    );
    let approved = browser.post("/jobs/2", &approve);
    assert_eq!((approved.status, approved.header("location")), (303, "/jobs/2/report"), "{}", approved.body);
    let page = reader.get("/jobs/2/report").body;
    assert!(page.contains("anna, 20") && page.contains("was deleted &#60;b&#62;") && page.contains("1 of 1"), "{page}");
    let told = browser.get("/api/v1/jobs/2/studies").json();
    assert_eq!(told["studies"][0]["approval"]["by"], "anna", "{told}");
    assert!(browser.get("/jobs/2/report/csv").body.contains("\"anna\",\"was deleted <b>years</b> ago\""));
    let sheet = browser.get("/jobs/2/report/sign-off").body;
    assert!(
        sheet.contains("Signature")
            && sheet.contains("1 study stays behind, approved")
            && sheet.contains("By modality"),
        "{sheet}"
    );
    assert!(ferry.run(&["report", "2"]).out.contains("approved by anna"));
    let trail = ferry.run(&["audit"]);
    assert!(trail.out.contains("approved that study 1.2.3.4.5 stays behind"), "{}", trail.out);

    // What is tried again is no longer what was agreed to.
    let again = browser.post("/jobs/2", &[("action", "retry"), ("reason", "not found at source")]);
    assert_eq!(again.status, 303, "{}", again.body);
    let reasons = browser.get("/api/v1/jobs/2/reasons").json();
    assert_eq!(reasons["stays_behind"], json!({ "studies": 0, "approved": 0 }), "{reasons}");
    assert_eq!(ferry.run(&["job", "2", "cancel"]).code, 0);
    // Without roles, whoever holds the catalog may everything.
    ferry.configure(&[]);
    let by_command = ferry.run(&["job", "2", "approve", "--study", NOWHERE, "--why", "gone"]);
    assert_eq!(by_command.code, 0, "{}", by_command.err);
    assert_eq!(browser.get("/api/v1/jobs/2/reasons").json()["stays_behind"], json!({ "studies": 1, "approved": 1 }));
}

#[test]
fn a_job_is_repeated_slowed_down_and_stopped_with_its_worker() {
    let (ferry, _pacs) = migrated();
    let node: Server = ferry.serve_with_worker();
    started_worker(&ferry);
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let repeated = browser.post("/jobs/1", &[("action", "repeat")]);
    assert_eq!((repeated.status, repeated.header("location")), (303, "/jobs/3"), "{}", repeated.body);
    let state = |id: i64| browser.get(&format!("/api/v1/jobs/{id}")).json()["state"].as_str().unwrap().to_owned();
    until("the same is done again", PATIENCE, || (state(3) == "finished").then_some(()));
    assert_eq!(browser.post("/jobs/3", &[("action", "slow"), ("rate", "fast")]).status, 400);
    let slowed = browser.post("/jobs/3", &[("action", "slow"), ("rate", "1 MiB/s"), ("for", "2h")]);
    assert_eq!(slowed.status, 303, "{}", slowed.body);
    assert_eq!(ferry.run(&["job", "3", "slow", "--off"]).code, 0);

    let closed = browser.post("/worker", &[]);
    assert_eq!((closed.status, closed.header("location")), (303, "/jobs"), "{}", closed.body);
    until("the worker has ended", PATIENCE, || {
        browser.get("/jobs").body.contains("No worker is running").then_some(())
    });
    // It runs again with the next job that is started.
    assert_eq!(browser.post("/jobs", &[("source", "oldpacs")]).status, 303);
    until("a worker has done it", PATIENCE, || (state(4) == "finished").then_some(()));
    started_worker(&ferry);
    drop(node);
}

#[test]
fn a_job_is_seen_as_pictures_and_as_numbers() {
    let (ferry, _pacs) = migrated();
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "otto", "readers");
    let days = browser.get("/api/v1/jobs/1/days").json();
    let sum =
        |of: &str, what: &str| -> u64 { days[of].as_array().unwrap().iter().map(|d| d[what].as_u64().unwrap()).sum() };
    let totals = browser.get("/api/v1/jobs/1").json()["items"].clone();
    assert_eq!(
        totals["proven"].as_u64().unwrap() + totals["proven_by_count"].as_u64().unwrap(),
        sum("months", "proven")
    );
    assert!(sum("days", "proven") > 0, "{days}");
    let pace = browser.get("/api/v1/jobs/1/pace?span=hours").json();
    let arrived: u64 = pace["pace"].as_array().unwrap().iter().map(|hour| hour["objects"].as_u64().unwrap()).sum();
    assert!(arrived > 0 && pace["pace"][0]["most_associations"].as_u64() > Some(0), "{pace}");
    for path in ["/jobs/1", "/jobs/1?year=2004&span=hours", "/jobs/1/pictures", "/jobs/2/pictures?year=MMIV"] {
        let page = browser.get(path);
        assert!(page.status == 200 && page.body.contains("Throughput") && page.body.contains("<svg"), "{path}");
        assert!(!page.body.contains("style=") && !page.body.contains("<script>"), "{path}: what the policy forbids");
    }
    assert!(browser.get("/jobs/1").body.contains("data-pictures=\"/jobs/1/pictures?"));
    assert_eq!(browser.get("/jobs/99/pictures").status, 404);
}

#[test]
fn nodes_are_shown_and_tested() {
    let (ferry, pacs) = migrated();
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let reader = signed_in(&ferry, "otto", "readers");
    let nodes = reader.get("/api/v1/nodes").json();
    assert_eq!(
        (&nodes["sources"][0]["name"], &nodes["receiver"]["running"]),
        (&json!("oldpacs"), &json!(false)),
        "{nodes}"
    );
    assert!(nodes["sources"][0]["last_sent"].is_string(), "{nodes}");
    assert!(reader.get("/nodes").body.contains("oldpacs"));
    assert_eq!(reader.post("/nodes", &[("source", "oldpacs")]).status, 403);
    let tested = browser.post("/nodes", &[("source", "oldpacs")]);
    for text in [
        "oldpacs: in order",
        "answers C-ECHO",
        "has reached us",
        "Study Root C-FIND",
        "move destination: AE title FERRY_RX",
    ] {
        assert!(tested.body.contains(text), "{text} is not in {}", tested.body);
    }
    assert_eq!(browser.post("/nodes", &[("peer", "NOBODY")]).status, 404);
    drop(pacs);
    let json = "Content-Type: application/json\r\n";
    let csrf = format!("{json}X-CSRF-Token: {}\r\n", browser.csrf);
    let gone = browser.send("POST", "/api/v1/nodes/test", &csrf, "{\"source\":\"oldpacs\"}").json();
    assert_eq!((&gone["ok"], &gone["echo"]), (&json!(false), &json!(null)), "{gone}");
    assert!(gone["findings"][0]["message"].as_str().unwrap().contains("C-ECHO"), "{gone}");
}

#[test]
fn what_could_not_be_listed_is_said_on_every_page_of_a_job() {
    let archive = Archive::with(|archive| {
        archive.studies("20240105", 30, 1);
        archive.study("").patient("", "X^Y").series("CT").instances(1, 64);
    });
    let scene = Scene::new(archive, Profile { cap: Cap::Silent(10), ..Profile::default() });
    assert_eq!(scene.migrate().code, 3);
    let _node = scene.ferry.serve();
    first_password(&scene.ferry);
    let browser = signed_in(&scene.ferry, "anna", "administrator");
    for page in ["/jobs", "/jobs/1", "/jobs/1/report"] {
        let shown = browser.get(page);
        assert!(shown.body.contains("NOT everything could be listed"), "{page}: {}", shown.body);
    }
    assert!(browser.get("/jobs/1/report").body.contains("not enumerated: <bdi>the source caps its answers"));
    let told = browser.get("/api/v1/jobs/1").json();
    assert!(told["not_listed"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn a_study_of_an_import_can_be_agreed_to_on_the_page() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let folder = ferry.folder().join("in");
    std::fs::create_dir(&folder).unwrap();
    for (file, name) in [("one", "Right^Anna"), ("other", "Wrong^Bert")] {
        let mut elements = Elements::new();
        elements.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, "1.2.1.1.1").put(tags::PATIENT_NAME, name);
        elements.put(tags::STUDY_INSTANCE_UID, "1.2.1").put(tags::SERIES_INSTANCE_UID, "1.2.1.1");
        elements.put(tags::PIXEL_DATA, name);
        let mut bytes = write_part10_head(CT, "1.2.1.1.1", uids::EXPLICIT_LE, None);
        bytes.extend(elements.write(Encoding::ExplicitLe));
        std::fs::write(folder.join(file), bytes).unwrap();
    }
    assert_eq!(ferry.run(&["import", "--copy", folder.to_str().unwrap()]).code, 3);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let report = browser.get("/jobs/1/report").body;
    assert!(report.contains("Studies that are not proven") && report.contains("value=\"approve\""), "{report}");
    let deed =
        [("action", "approve"), ("study", "1.2.1"), ("why", "the other one is the right one"), ("back", "report")];
    assert_eq!(browser.post("/jobs/1", &deed).status, 303);
    let report = browser.get("/jobs/1/report").body;
    assert!(report.contains("the other one is the right one") && report.contains("1 of 1"), "{report}");
}
