//! The Content Manager as the console shows it: plan, move, undo, locks.

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, tags, uids};

use crate::support::console::{first_password, signed_in};
use crate::support::peers::Ferry;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";

/// Files one CT object of a patient; its study is `1.2.N`, its series `1.2.N.1`.
fn file(ferry: &Ferry, number: u32, patient: &str, name: &str) {
    file_in(ferry, number, 1, patient, name);
}

/// The same in a series `1.2.N.S`.
fn file_in(ferry: &Ferry, number: u32, series: u32, patient: &str, name: &str) {
    let mut elements = Elements::new();
    let (study, instance) = (format!("1.2.{number}"), format!("1.2.{number}.{series}.1"));
    elements.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, &instance).put(tags::MODALITY, "CT");
    elements.put(tags::PATIENT_NAME, name).put(tags::PATIENT_ID, patient).put(tags::STUDY_DATE, "20240131");
    elements.put(tags::STUDY_INSTANCE_UID, &study).put(tags::SERIES_INSTANCE_UID, &format!("{study}.{series}"));
    let mut bytes = write_part10_head(CT, &instance, uids::EXPLICIT_LE, None);
    bytes.extend(elements.write(Encoding::ExplicitLe));
    let folder = ferry.folder().join(format!("in{number}.{series}"));
    std::fs::create_dir(&folder).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file of the test")]
    std::fs::write(folder.join("1.dcm"), bytes).unwrap();
    let imported = ferry.run(&["import", "--copy", folder.to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{}", imported.err);
}

#[test]
fn a_series_is_planned_moved_and_taken_back() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    file(&ferry, 1, "P1", "Right^Anna");
    file(&ferry, 2, "P2", "Wrong^Bert");
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let series_of = |study: &str| browser.get(&format!("/api/v1/studies/{study}")).json()["series"].clone();
    let panes = browser.get("/panes/studies?PatientID=P2");
    assert!(panes.body.contains("data-study=\"1.2.2\""), "{}", panes.body);
    assert!(browser.get("/panes/series?uid=1.2.2").body.contains("data-series=\"1.2.2.1\""));
    let page = browser.get("/plan?from=1.2.2&series=1.2.2.1&to=1.2.1");
    assert!(
        page.status == 200 && page.body.contains("Wrong, Bert") && page.body.contains("Right, Anna"),
        "{}",
        page.body
    );
    let (_, sheet) = page.body.split_once("name=\"sheet\" value=\"").unwrap();
    let sheet = sheet.split('"').next().unwrap();
    let asked = [("from", "1.2.2"), ("series", "1.2.2.1"), ("to", "1.2.1"), ("sheet", sheet), ("reason", "MWL")];
    let unconfirmed = browser.post("/corrections", &asked);
    assert!(unconfirmed.status == 409 && series_of("1.2.2").as_array().unwrap().len() == 1, "{}", unconfirmed.body);
    let mut confirmed = asked.to_vec();
    confirmed.push(("confirm_patient", "yes"));
    let done = browser.post("/corrections", &confirmed);
    assert_eq!((done.status, done.header("location")), (303, "/corrections?done=1"), "{}", done.body);
    assert_eq!(series_of("1.2.1").as_array().unwrap().len(), 2);
    assert_eq!(browser.get("/studies/1.2.2").status, 404, "an empty shell is not shown");
    let listed = browser.get("/api/v1/corrections").json();
    assert_eq!(
        (&listed["corrections"][0]["operator"], &listed["corrections"][0]["reason"]),
        (&"anna".into(), &"MWL".into())
    );
    // What was seen does not hold any more.
    assert_eq!(browser.post("/corrections", &confirmed).status, 404);
    // Somebody who may only look.
    let reader = signed_in(&ferry, "eve", "readers");
    assert_eq!(reader.get("/corrections").status, 200);
    assert_eq!(reader.post("/corrections/1/undo", &[]).status, 403);
    assert_eq!(series_of("1.2.1").as_array().unwrap().len(), 2);
    let undone = browser.post("/corrections/1/undo", &[]);
    assert_eq!((undone.status, undone.header("location")), (303, "/corrections?undone=1"), "{}", undone.body);
    assert_eq!((series_of("1.2.1").as_array().unwrap().len(), series_of("1.2.2").as_array().unwrap().len()), (1, 1));
    // A lock keeps others out, and is seen.
    assert_eq!(browser.post("/studies/1.2.1", &[("action", "lock"), ("reason", "being read")]).status, 303);
    assert!(browser.get("/studies/1.2.1").body.contains("Locked by anna"));
    let other = signed_in(&ferry, "carl", "administrator");
    let locked = other.get("/plan?from=1.2.2&series=1.2.2.1&to=1.2.1");
    assert!(locked.body.contains("locked by anna") && !locked.body.contains("id=\"commit\""), "{}", locked.body);
    assert_eq!(browser.post("/studies/1.2.1", &[("action", "unlock")]).status, 303);
    assert!(!browser.get("/studies/1.2.1").body.contains("Locked by"));
}

#[test]
fn what_a_removed_account_had_locked_is_not_of_the_next_one_of_its_name() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    file(&ferry, 1, "P1", "Right^Anna");
    file(&ferry, 2, "P2", "Wrong^Bert");
    let _node = ferry.serve();
    first_password(&ferry);
    let master = signed_in(&ferry, "master", "administrator");
    for (name, study) in [("anna", "/studies/1.2.1"), ("carl", "/studies/1.2.2")] {
        let browser = signed_in(&ferry, name, "administrator");
        assert_eq!(browser.post(study, &[("action", "lock"), ("reason", "being read")]).status, 303);
    }
    // By the page, and by the command.
    assert_eq!(master.post("/accounts/anna", &[("action", "remove")]).status, 303);
    let removed = ferry.json(&["user", "remove", "carl", "--json"]);
    assert_eq!(removed["locks"], 1, "{removed}");
    for (name, study, other) in [("anna", "1.2.1", "1.2.2"), ("carl", "1.2.2", "1.2.1")] {
        let browser = signed_in(&ferry, name, "administrator");
        let shown = browser.get(&format!("/studies/{study}")).body;
        assert!(shown.contains(&format!("Locked by {name} (account removed)")), "{shown}");
        let plan = browser.get(&format!("/plan?from={study}&series={study}.1&to={other}")).body;
        assert!(plan.contains("(account removed)") && !plan.contains("id=\"commit\""), "{plan}");
        let trail = ferry.json(&["audit", "--json"]);
        let told = |entry: &&serde_json::Value| entry.to_string().contains(&format!("account {name} was removed; its"));
        assert_eq!(trail.as_array().unwrap().iter().filter(told).count(), 1, "{trail}");
    }
    let journal = std::fs::read_to_string(ferry.storage().join("journal.jsonl")).unwrap();
    for name in ["anna", "carl"] {
        assert!(journal.contains(&format!("\"by\":\"{name} (account removed)\"")), "{journal}");
    }
    assert_eq!(master.post("/studies/1.2.1", &[("action", "unlock")]).status, 303);
}

#[test]
fn a_plan_that_was_seen_is_the_one_that_is_done_whatever_new_uids_it_makes() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    file(&ferry, 1, "P1", "Right^Anna");
    file(&ferry, 2, "P2", "Wrong^Bert");
    // A split leaves something.
    file_in(&ferry, 2, 2, "P2", "Wrong^Bert");
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let sheet_of = |path: &str| {
        let page = browser.get(path);
        assert_eq!(page.status, 200, "{}", page.body);
        let (_, sheet) = page.body.split_once("name=\"sheet\" value=\"").unwrap();
        sheet.split('"').next().unwrap().to_owned()
    };
    // Into a new study.
    let sheet = sheet_of("/plan?from=1.2.2&series=1.2.2.1");
    let split = [("from", "1.2.2"), ("series", "1.2.2.1"), ("sheet", sheet.as_str()), ("reason", "X")];
    let done = browser.post("/corrections", &split);
    assert_eq!((done.status, done.header("location")), (303, "/corrections?done=1"), "{}", done.body);
    assert_eq!(browser.post("/corrections/1/undo", &[]).status, 303);
    // Under new UIDs.
    let sheet = sheet_of("/plan?from=1.2.2&series=1.2.2.1&to=1.2.1&mode=iocm");
    let moved =
        [("series", "1.2.2.1"), ("from", "1.2.2"), ("to", "1.2.1"), ("mode", "iocm"), ("confirm_patient", "yes")];
    let seen = [moved.as_slice(), &[("sheet", sheet.as_str())]].concat();
    assert_eq!(browser.post("/corrections", &seen).header("location"), "/corrections?done=2");
    assert_eq!(browser.post("/corrections/2/undo", &[]).status, 303);
    // Sent once more, although everything is as it was when the plan was made.
    assert_eq!(browser.post("/corrections", &seen).status, 409);
    // A program that has seen the plan before it confirms anything.
    let json = "Content-Type: application/json\r\n";
    let csrf = format!("{json}X-CSRF-Token: {}\r\n", browser.csrf);
    let asked = "\"series\": [\"1.2.2.1\"], \"from\": \"1.2.2\", \"to\": \"1.2.1\"";
    let plan = browser.send("POST", "/api/v1/plans", &csrf, &format!("{{{asked}}}")).json();
    assert_eq!((&plan["may_be_done"], &plan["refusals"][0]["code"]), (&false.into(), &"patient-not-confirmed".into()));
    let sheet = plan["sheet"].as_str().unwrap();
    let other = sheet.replace(char::is_numeric, "0");
    for (sheet, status) in [(other.as_str(), 409), ("x", 409), (sheet, 201)] {
        let body = format!("{{{asked}, \"confirm_patient\": true, \"reason\": \"MWL\", \"sheet\": \"{sheet}\"}}");
        let answer = browser.send("POST", "/api/v1/corrections", &csrf, &body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    // What was refused before there was a plan is in the audit trail as well.
    let unknown = browser.send("POST", "/api/v1/corrections", &csrf, "{\"study\": \"9.9.9\", \"to\": \"1.2.1\"}");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    let trail = ferry.run(&["audit", "--json"]);
    assert!(trail.out.contains("9.9.9"), "{}", trail.out);
}
