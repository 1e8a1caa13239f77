//! Earlier studies of those who are expected are filed first, whoever names them, and how ready that is, is said.

use std::time::Duration;

use pacsferry::dicom::Date;
use pacsferry::sample::{Archive, Profile};
use serde_json::{Value, json};

use crate::support::console::{first_password, signed_in};
use crate::support::peers::{PATIENCE, Server, Worklist, free_port, listens, python, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};

const LONG: Duration = Duration::from_secs(90);

/// A new study that takes its time, and some older ones behind it; each is of a patient of its own.
fn archive() -> Archive {
    Archive::with(|b| {
        b.study("20240105").series("CT").instances(60, 2000);
        b.studies("20200101", 6, 2);
    })
}

/// An old PACS that takes its time, whose studies are all listed, and a worklist beside it.
struct Hospital {
    scene: Scene,
    migration: Running,
}

impl Hospital {
    fn new(worklist: u16, more: &str) -> Hospital {
        let profile = Profile { store_pause: Duration::from_millis(60), ..Profile::default() };
        let scene = Scene::keyed(archive(), profile, &[("associations", "1")]);
        let ris =
            format!("\n[[source]]\nname = \"ris\"\nae_title = \"RIS\"\naddress = \"127.0.0.1:{worklist}\"\n{more}");
        let file = scene.ferry.folder().join("pacsferry.toml");
        let text = std::fs::read_to_string(&file).unwrap() + &ris;
        std::fs::write(&file, text).unwrap();
        let migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
        until("objects", LONG, || (scene.pacs.objects_sent() >= 3).then_some(()));
        until("the whole list", LONG, || (scene.report().0["studies"].as_array()?.len() == 7).then_some(()));
        Hospital { scene, migration }
    }

    /// Study and Patient ID of everything that is listed, the oldest first.
    fn listed(&self) -> Vec<(String, String)> {
        let mut studies: Vec<(String, String, String)> = Vec::new();
        for study in self.scene.report().0["studies"].as_array().unwrap() {
            let text = |key: &str| study[key].as_str().unwrap().to_owned();
            studies.push((text("study_date"), text("study_uid"), text("patient_id")));
        }
        studies.sort();
        studies.into_iter().map(|(_, uid, patient)| (uid, patient)).collect()
    }

    fn priors(&self, arguments: &[&str]) -> (i32, Value, String) {
        let done = self.scene.ferry.run(&[&["priors", "--json"], arguments].concat());
        (done.code, serde_json::from_str(&done.out).unwrap_or_default(), done.err)
    }

    /// How many studies were proven before this one.
    fn place(&mut self, study: &str) -> usize {
        assert_eq!(self.migration.ends(LONG), Some(0), "{}", self.migration.said());
        let log = self.scene.pacs.log();
        let retrieved: Vec<String> = log
            .iter()
            .filter_map(|entry| match &entry.event {
                pacsferry::sample::Event::Retrieve(request) => request.studies.first().cloned(),
                _ => None,
            })
            .collect();
        retrieved.iter().position(|uid| uid == study).unwrap_or_else(|| panic!("{study} is not among {retrieved:?}"))
    }
}

fn day(plus: i64) -> String {
    Date::today().plus_days(plus).to_string()
}

#[test]
fn who_is_on_the_worklist_comes_first() {
    let worklist = Worklist::start();
    let mut hospital = Hospital::new(worklist.port, "");
    let listed = hospital.listed();
    let (oldest, patient) = listed[0].clone();
    worklist.expect(1, &patient, "", &day(1));
    worklist.expect(2, &patient, "", &day(0));
    worklist.expect(3, "NEW", "CITY", &day(1));
    worklist.expect(4, &listed[1].1, "", &day(5));
    let (code, told, err) = hospital.priors(&["--worklist", "ris"]);
    assert_eq!(code, 3, "{err}");
    let numbers = ["patients", "patients_unknown", "priors", "filed", "lifted"].map(|key| told[key].as_u64().unwrap());
    assert_eq!(numbers, [2, 1, 1, 0, 1], "{told}");
    assert_eq!(told["ready"], false);
    let of = |id: &str| told["per_patient"].as_array().unwrap().iter().find(|one| one["patient_id"] == id).cloned();
    assert_eq!(of(&patient), Some(json!({ "patient_id": patient, "issuer": "", "priors": 1, "filed": 0 })), "{told}");
    assert!(of("NEW").is_some() && of(&listed[1].1).is_none(), "{told}");
    // After the one that is under way, and before the five that are newer.
    assert_eq!(hospital.place(&oldest), 1);
    let (code, told, err) = hospital.priors(&[]);
    assert_eq!((code, &told["ready"], &told["filed"]), (0, &json!(true), &json!(1)), "{told} {err}");
    let line = hospital.scene.ferry.run(&["priors"]).out;
    assert!(line.starts_with("1 of 1 priors filed, for 2 patients; of 1 nothing is known"), "{line}");
    let trail = hospital.scene.ferry.run(&["audit"]).out;
    assert!(trail.contains("lifted 1 studies of 2 patients") && trail.contains("1.2.840.10008.5.1.4.31"), "{trail}");
}

#[test]
fn a_list_names_them_too_and_its_bad_lines_are_told() {
    let mut hospital = Hospital::new(free_port(), "");
    let listed = hospital.listed();
    let (oldest, patient) = listed[0].clone();
    let file = hospital.scene.ferry.folder().join("tomorrow.csv");
    std::fs::write(&file, format!("Name;PatientID\n\"Doe; J\";{patient}\nx;*\n")).unwrap();
    let path = file.to_str().unwrap();
    // Too old for what was asked.
    let (code, told, err) = hospital.priors(&["--csv", path, "--prior-months", "1"]);
    assert_eq!((code, &told["priors"], &told["lifted"]), (3, &json!(0), &json!(0)), "{told} {err}");
    let (code, told, err) = hospital.priors(&["--csv", path]);
    assert_eq!((code, &told["priors"], &told["lifted"]), (3, &json!(1), &json!(1)), "{told} {err}");
    assert_eq!(told["bad_lines"][0]["line"], 3, "{told}");
    assert!(err.contains("line 3: this is no Patient ID"), "{err}");
    assert_eq!(hospital.place(&oldest), 1);
    let missing = hospital.scene.ferry.run(&["priors", "--csv", "/nowhere.csv"]);
    assert!(missing.code == 1 && missing.err.contains("/nowhere.csv cannot be read"), "{}", missing.err);
    assert_eq!(hospital.scene.ferry.run(&["priors", "--worklist", "nowhere"]).code, 2);
}

#[test]
fn a_hostile_worklist_harms_nobody_and_a_broken_one_is_told() {
    let port = free_port();
    let hospital = Hospital::new(port, "");
    let (code, _, err) = hospital.priors(&["--worklist", "ris"]);
    assert!(code == 1 && err.contains("opening an association with RIS"), "{err}");
    // Who has no worklist.
    let (code, _, err) = hospital.priors(&["--worklist", SOURCE]);
    assert!(code == 1 && err.contains("does not accept queries of a Modality Worklist"), "{err}");
    let start = |status: &str| {
        let mut command = python("worklist.py");
        command.arg(port.to_string()).arg(status);
        Server::start(command, &hospital.scene.ferry.folder().join("worklist.log"), || listens(port))
    };
    let server = start("0");
    let (code, told, err) = hospital.priors(&["--worklist", "ris"]);
    assert_eq!(code, 0, "{err}");
    let named: Vec<&str> =
        told["per_patient"].as_array().unwrap().iter().map(|p| p["patient_id"].as_str().unwrap()).collect();
    assert_eq!(named, ["' OR 1=1 --", "../../etc", "P1"], "{told}");
    drop(server);
    until("the port", PATIENCE, || (!listens(port)).then_some(()));
    let _server = start("A700");
    let (code, _, err) = hospital.priors(&["--worklist", "ris"]);
    assert!(code == 1 && err.contains("A700"), "{err}");
    // What failed is not what is shown as ready.
    assert_eq!(hospital.priors(&[]).1["patients"], 3);
}

#[test]
fn a_schedule_is_kept_once_and_again_after_a_failure_and_shown_on_the_console() {
    let worklist = Worklist::start();
    let schedule =
        "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n[[priors]]\nworklist = \"ris\"\nat = \"00:00\"\n";
    let hospital = Hospital::new(worklist.port, schedule);
    let patient = hospital.listed()[0].1.clone();
    worklist.expect(1, &patient, "", &day(0));
    let ferry = &hospital.scene.ferry;
    let node = ferry.serve();
    first_password(ferry);
    let anna = signed_in(ferry, "anna", "administrator");
    let otto = signed_in(ferry, "otto", "readers");
    let told = until("the schedule", PATIENCE, || {
        let told = anna.get("/api/v1/priors").json();
        told["latest"].is_object().then_some(told)
    });
    assert_eq!((&told["latest"]["schedule"], &told["latest"]["asker"]), (&json!("ris at 00:00"), &json!("schedule")));
    // By a node that begins anew nothing is done twice; what somebody asks for is.
    drop(node);
    let _node = ferry.serve();
    assert_eq!(otto.post("/priors", &[("worklist", "ris")]).status, 403);
    assert_eq!(anna.post("/priors", &[]).status, 400);
    assert_eq!(anna.post("/priors", &[("worklist", "nowhere")]).status, 404);
    assert_eq!(anna.post("/priors", &[("list", "P*")]).status, 400);
    let done = anna.post("/priors", &[("list", &format!("{patient}\n")), ("prior_months", "1200")]);
    assert_eq!((done.status, done.header("location")), (303, "/priors"), "{}", done.body);
    let told = otto.get("/api/v1/priors").json();
    let askers: Vec<&str> =
        told["preparations"].as_array().unwrap().iter().map(|p| p["asker"].as_str().unwrap()).collect();
    assert_eq!(askers.iter().filter(|asker| **asker == "schedule").count(), 1, "{told}");
    assert_eq!(told["per_patient"][0]["patient_id"], patient, "{told}");
    let page = otto.get("/priors").body;
    assert!(page.contains(&patient) && page.contains("every day at 00:00") && !page.contains("<textarea"), "{page}");
    assert!(anna.get("/priors").body.contains("<textarea"));
}
