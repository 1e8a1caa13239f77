//! The console: who is let in, what strangers can make it do, and a job that is driven by it alone.

use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, tags, uids};
use serde_json::Value;

use crate::support::certificates::Authority;
use crate::support::console::{Browser, PASSWORD, first_password, signed_in};
use crate::support::peers::{
    Dcmqrscp, Ferry, PATIENCE, Server, Source, distinct, finish, listens, samples, text as text_of, until,
};
use crate::support::running::started_worker;

const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";

#[test]
fn the_first_account_is_told_once_and_has_to_choose_a_password() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let node = ferry.serve();
    let mut browser = Browser::new(ferry.web);
    let away = browser.get("/studies?PatientName=Doe");
    assert_eq!((away.status, away.header("location")), (303, "/sign-in?next=%2Fstudies%3FPatientName%3DDoe"));
    assert_eq!(browser.get("/api/v1/jobs").status, 401);
    let password = first_password(&ferry);
    assert_eq!(browser.sign_in("admin", "not the password").status, 401);
    browser.begin("admin", &password);
    assert_eq!(browser.get("/jobs").status, 200);
    assert_eq!(Browser::new(ferry.web).sign_in("admin", &password).status, 401, "it was good for once");
    drop(node);
    let _node = ferry.serve();
    let mut again = Browser::new(ferry.web);
    assert_eq!(again.sign_in("admin", PASSWORD).header("location"), "/");
    assert!(!ferry.served().contains("with the password"), "there is an account now");
    assert_eq!(browser.get("/jobs").status, 200, "a session survives the process");
    assert_eq!(browser.post("/sign-out", &[]).status, 303);
    assert_eq!(browser.get("/jobs").status, 303);
    assert_eq!(again.get("/jobs").status, 200);
    ferry.json(&["user", "set", "admin", "--disable", "--json"]);
    assert_eq!(again.get("/jobs").status, 303, "who may not sign in has no session");
}

#[test]
fn an_account_may_what_its_role_says() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let unknown = ferry.run(&["user", "add", "eve", "--role", "reader"]);
    assert!(unknown.code == 2 && unknown.err.contains("readers, administrator"), "{}", unknown.err);
    let reader = signed_in(&ferry, "anna", "readers");
    let page = reader.get("/jobs");
    assert!(page.status == 200 && !page.body.contains("Start a migration"), "{}", page.body);
    let refused = reader.post("/jobs", &[("source", "x")]);
    assert!(refused.status == 403 && refused.body.contains("no privilege `operate`"), "{}", refused.body);
    // The same as a program.
    let token = ferry.json(&["user", "token", "anna", "--json"]);
    let mut program = Browser::new(ferry.web);
    program.known = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    assert_eq!(program.get("/api/v1/jobs").json(), Value::Array(vec![]));
    let refused = program.send("POST", "/api/v1/jobs", "Content-Type: application/json\r\n", "{\"source\":\"x\"}");
    assert_eq!((refused.status, refused.header("content-type")), (403, "application/problem+json"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("anna"));
    // A role that is taken away is gone at the next request.
    ferry.configure(&[]);
    until("the roles are read again", PATIENCE, || (reader.get("/jobs").status == 403).then_some(()));
}

#[test]
fn what_comes_from_elsewhere_is_turned_away() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("csrf={}", browser.csrf);
    for (headers, status) in [
        ("Origin: https://evil.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Host: evil.example\r\n", 421),
    ] {
        let answer = browser.send("POST", "/sign-out", &format!("{form}{headers}"), &body);
        assert_eq!(answer.status, status, "{headers}");
    }
    assert_eq!(browser.send("GET", "/jobs", "Host: evil.example\r\n", "").status, 421, "a name that leads here");
    for body in ["", "csrf=", "csrf=guessed"] {
        assert_eq!(browser.send("POST", "/sign-out", form, body).status, 403, "{body}");
    }
    assert_eq!(browser.get("/sign-out").status, 405, "GET changes nothing");
    let page = browser.get("/jobs");
    assert_eq!(page.status, 200, "and she is still signed in");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    for inline in ["<script>", "style=", " onclick", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    // Guessing is slowed down.
    let mut guesser = Browser::new(ferry.web);
    let guessed = (0..20).map(|n| guesser.sign_in("anna", &format!("guess number {n}")).status);
    assert!(guessed.collect::<Vec<_>>().contains(&429));
}

#[test]
fn browsers_are_told_to_stay_with_https_where_the_console_speaks_it() {
    let (ferry, authority) = (Ferry::new(), Authority::new("Hospital"));
    let own = authority.issue("node", 365);
    ferry.configure(&[]);
    let plain = ferry.serve();
    assert_eq!(Browser::new(ferry.web).get("/sign-in").header("strict-transport-security"), "");
    drop(plain);
    let settings = ferry.folder().join("pacsferry.toml");
    let tls = format!("[web]\ntls = {{ cert = {:?}, key = {:?} }}\n", own.cert, own.key);
    let text = std::fs::read_to_string(&settings).unwrap().replace("[web]\n", &tls);
    #[expect(clippy::disallowed_methods, reason = "the configuration of the test")]
    std::fs::write(&settings, text).unwrap();
    let _node = ferry.serve();
    // Whatever is answered, to whoever asks.
    for (path, status) in
        [("/sign-in", "200"), ("/jobs", "303"), ("/api/v1/jobs", "401"), ("/dicom-web/studies", "401")]
    {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--cacert"]).arg(authority.ca());
        curl.arg(format!("https://127.0.0.1:{}{path}", ferry.web));
        let answer = text_of(&finish(curl, PATIENCE).stdout).to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{path}: {answer}");
        assert!(answer.contains("strict-transport-security: max-age=15552000\r\n"), "{path}: {answer}");
    }
}

#[test]
fn a_folder_is_chosen_below_a_root_and_imported_by_the_worker() {
    let ferry = Ferry::new();
    let root = ferry.folder().join("disk");
    std::fs::create_dir_all(root.join("ct")).unwrap();
    std::fs::copy(&distinct(&samples())[0].path, root.join("ct/1.dcm")).unwrap();
    ferry.configure(&[]);
    let settings = ferry.folder().join("pacsferry.toml");
    let browse = format!("[web]\nbrowse = [\"{}\"]\n", root.display());
    let text = std::fs::read_to_string(&settings).unwrap().replace("[web]\n", &browse);
    #[expect(clippy::disallowed_methods, reason = "the configuration of the test")]
    std::fs::write(&settings, text).unwrap();
    let node: Server = ferry.serve_with_worker();
    started_worker(&ferry);
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let page = browser.get(&format!("/folders?path={}", root.display()));
    assert!(page.status == 200 && page.body.contains(">ct<"), "{}", page.body);
    assert_eq!(browser.get("/folders?path=/etc").status, 403);
    assert_eq!(browser.post("/folders", &[("folder", "/etc"), ("how", "copy")]).status, 403);
    // A name that is no text is passed over, and hides nothing else.
    std::fs::create_dir(root.join(std::ffi::OsStr::from_bytes(b"bad\xff"))).unwrap();
    let listed = browser.get(&format!("/api/v1/folders?path={}", root.display())).json();
    assert_eq!(listed["folders"].as_array().unwrap().len(), 1, "{listed}");
    let folder = root.join("ct");
    let started = browser.post("/folders", &[("folder", folder.to_str().unwrap()), ("how", "link"), ("hash", "yes")]);
    assert_eq!((started.status, started.header("location")), (303, "/jobs/1"), "{}", started.body);
    until("the import is done", PATIENCE, || {
        (browser.get("/api/v1/jobs/1").json()["state"] == "finished").then_some(())
    });
    assert_eq!(ferry.filed().len(), 1);
    drop(node);
}

/// Files an object whose texts somebody chose who wishes harm.
fn file_hostile(ferry: &Ferry) {
    let mut elements = Elements::new();
    elements
        .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .put(tags::SOP_CLASS_UID, CT)
        .put(tags::SOP_INSTANCE_UID, "1.2.3.4");
    elements
        .put(tags::PATIENT_NAME, "<img src=x onerror=alert(1)>^\u{202E}txet")
        .put(tags::PATIENT_ID, "\"><script>alert(2)</script>");
    elements
        .put(tags::STUDY_DESCRIPTION, "{{ 7 * 7 }} </td><h1>")
        .put(tags::STUDY_DATE, "20240131")
        .put(tags::MODALITY, "CT");
    elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put(tags::SERIES_INSTANCE_UID, "1.2.3.5");
    let mut bytes = write_part10_head(CT, "1.2.3.4", uids::EXPLICIT_LE, None);
    bytes.extend(elements.write(Encoding::ExplicitLe));
    let folder = ferry.folder().join("hostile");
    std::fs::create_dir(&folder).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file of the test")]
    std::fs::write(folder.join("1.dcm"), bytes).unwrap();
    let imported = ferry.run(&["import", "--copy", folder.to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{}", imported.err);
}

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

#[test]
fn hostile_texts_are_shown_as_texts() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    file_hostile(&ferry);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    for (path, status) in [
        ("/studies", 200),
        ("/studies/1.2.3", 200),
        ("/studies?PatientName=%3Cscript%3E&StudyDate=%22%3E", 400),
        ("/studies?after=x", 400),
    ] {
        let page = browser.get(path);
        assert_eq!(page.status, status, "{path}");
        for bad in ["<img src=x", "<img src =", "<script>", "</td><h1>", "\u{202E}"] {
            assert!(!page.body.contains(bad), "{path}: {bad} in {}", page.body);
        }
    }
    let page = browser.get("/studies").body;
    assert!(page.contains("&#60;img src = x onerror = alert(1)&#62;") && page.contains("{{ 7 * 7 }}"), "{page}");
    assert_eq!(browser.get("/studies?PatientName=%3Cimg").body.matches("<tr").count(), 3, "one study, two heads");
    let found = browser.get("/api/v1/studies?StudyDate=2024-01").json();
    assert_eq!(found["studies"][0]["StudyInstanceUID"], "1.2.3");
    assert_eq!(browser.get("/api/v1/studies/1.2.3").json()["series"][0]["SeriesInstanceUID"], "1.2.3.5");
    for none in
        ["/studies/1.2.4", "/studies/%00", "/studies/%20", "/studies/*", "/studies/..%2f..", "/studies/1.2.3%00"]
    {
        assert_eq!(browser.get(none).status, 404, "{none}");
    }
    for page in ["/studies?StudyDate=17.11.2021", "/panes/studies?StudyDate=17.11.2021"] {
        let said = browser.get(page).body;
        assert!(said.contains("`17.11.2021` is no day and no range of days: write 2024-01-31"), "{said}");
    }
    let missing = browser.get("/jobs/99").body;
    assert!(missing.contains("<h1>This is not here</h1>") && missing.contains("there is no job 99"), "{missing}");
}

#[test]
fn a_job_is_driven_by_the_console_alone_and_outlives_it() {
    let samples = samples();
    let distinct = distinct(&samples);
    let ferry = Ferry::new();
    let pacs = Dcmqrscp::start(&distinct, &[(Ferry::AE_TITLE, ferry.receiver)], None);
    ferry.configure(&[Source {
        name: "oldpacs",
        ae_title: Dcmqrscp::AE_TITLE,
        port: pacs.port,
        keys: "attempts = 1\nsettle = \"1s\"",
    }]);
    let node: Server = ferry.serve_with_worker();
    started_worker(&ferry);
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let started = browser.post("/jobs", &[("source", "oldpacs"), ("from", ""), ("to", "")]);
    assert_eq!((started.status, started.header("location")), (303, "/jobs/1"), "{}", started.body);
    assert_eq!(browser.post("/jobs", &[("source", "nobody")]).status, 400);
    assert!(browser.get("/jobs/1").body.contains("data-events=\"/jobs/1/events\""));
    // The node dies, and with it the console; the worker goes on.
    drop(node);
    let _node = ferry.serve_with_worker();
    let browser = Browser { port: ferry.web, known: browser.known, csrf: browser.csrf };
    let state = until("the job is done", PATIENCE, || {
        listens(ferry.web).then(|| browser.get("/api/v1/jobs/1").json()).filter(|job| job["state"] == "finished")
    });
    assert_eq!(state["items"]["pending"], 0, "{state}");
    assert!(state["objects"]["filed"].as_u64().unwrap() > 0, "{state}");
    let report = browser.get("/jobs/1/report/csv");
    assert!(report.status == 200 && report.header("content-disposition").contains("pacsferry-job-1.csv"));
    assert!(browser.get("/jobs/1/report/html").body.contains("<html"));
    assert_eq!(browser.get("/jobs/2").status, 404);
}
