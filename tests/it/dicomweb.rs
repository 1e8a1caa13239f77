//! DICOMweb: what `dicomweb-client` gets, who is let in, and what is answered to whom takes what.

use crate::support::dicomweb::{Program, Told};
use crate::support::peers::{PATIENCE, Sample, distinct, samples, send, until};
use crate::support::ward::{ANNA, JOHN, Object, TARO, Ward, series_uid, slices, study_uid};

const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n\
                     [[role]]\nname = \"nobodies\"\nprivileges = []\n\
                     [[role]]\nname = \"clerks\"\nusers = [\"0\"]\n\
                     privileges = [\"view\", \"content\", \"across-patients\", \"force-local\"]\n\
                     [[role]]\nname = \"bringers\"\nprivileges = [\"view\", \"store\"]\n";
const AS_HELD: &str = "Accept: multipart/related; type=\"application/dicom\"; transfer-syntax=*\r\n";

fn ward() -> Ward {
    let objects = [slices(ANNA, 1, 1, 3), slices(ANNA, 1, 2, 2), slices(TARO, 2, 1, 2), slices(JOHN, 3, 1, 1)].concat();
    Ward::configured(&objects, ROLES)
}

#[test]
fn dicomweb_client_gets_all_sample_files_as_pydicom_reads_them() {
    let ward = Ward::configured(&[], ROLES);
    let samples = samples();
    let wanted: Vec<&Sample> = distinct(&samples);
    send(ward.ferry.node, "PACSFERRY", &wanted);
    let filed = ward.ferry.filed().len();
    let seen = Program::new(&ward.ferry, "anna", "readers").client("walk", &[]);
    let wrong: Vec<&str> = seen["wrong"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(filed > 60 && seen["metadata"] == filed, "{filed} are filed: {seen}");
    assert!(seen["frames"].as_u64().unwrap() > 50 && seen["bulk"].as_u64().unwrap() > 0, "{seen}");
}

#[test]
fn what_is_told_in_xml_is_what_dcm2xml_makes_of_the_file() {
    let ward = Ward::configured(&[], ROLES);
    let samples = samples();
    let names =
        ["CT_small.dcm", "reportsi.dcm", "MR_small.dcm", "chrFren.dcm", "chrRuss.dcm", "chrArab.dcm", "rtplan.dcm"];
    let wanted: Vec<&Sample> =
        distinct(&samples).into_iter().filter(|sample| names.contains(&sample.name().as_str())).collect();
    assert_eq!(wanted.len(), names.len());
    send(ward.ferry.node, "PACSFERRY", &wanted);
    let program = Program::new(&ward.ferry, "anna", "readers");
    let files: Vec<_> = wanted.iter().map(|sample| sample.path.clone()).collect();
    let seen = program.client("native", &files);
    let wrong: Vec<&str> = seen["wrong"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen["elements"].as_u64().unwrap() > 300, "{seen}");
    let found = program.get("/studies", "Accept: multipart/related; type=\"application/dicom+xml\"\r\n");
    assert_eq!(found.status, 200, "{}", found.head);
    assert!(found.header("content-type").starts_with("multipart/related; type=\"application/dicom+xml\"; boundary="));
    let known = found.body.windows(17).filter(|w| *w == b"<NativeDicomModel").count();
    assert_eq!(known, program.get("/studies", "").json().as_array().unwrap().len());
}

#[test]
fn a_query_is_matched_paged_and_told_in_every_character_set() {
    let ward = ward();
    let program = Program::new(&ward.ferry, "anna", "readers");
    let found = program.get("/studies?PatientID=B2&includefield=all", "");
    assert_eq!((found.status, found.header("content-type")), (200, "application/dicom+json"));
    let study = found.json()[0].clone();
    let name =
        serde_json::json!([{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}]);
    assert_eq!(study["00100010"]["Value"], name);
    assert_eq!(study["00201208"]["Value"], serde_json::json!([2]));
    assert_eq!(study["00080056"]["Value"][0], "ONLINE");
    let address = format!("{}/studies/{}", program.base(), study_uid(2));
    assert_eq!(study["00081190"]["Value"][0].as_str().unwrap(), address);
    // By tag, with a wildcard, folded; a list; a range.
    let count = |query: &str| match program.get(query, "") {
        told if told.status == 204 => 0,
        told => told.json().as_array().unwrap().len(),
    };
    assert_eq!(count("/studies?00100010=muller*"), 1);
    assert_eq!(count(&format!("/studies?StudyInstanceUID={},{}", study_uid(1), study_uid(3))), 2);
    assert_eq!(count(&format!("/studies?StudyInstanceUID={}&StudyInstanceUID={}", study_uid(1), study_uid(3))), 2);
    assert_eq!(count("/studies?StudyDate=20240102-"), 2);
    assert_eq!(count("/series"), 4);
    assert_eq!(count(&format!("/studies/{}/series?Modality=MR", study_uid(1))), 0);
    assert_eq!(count(&format!("/studies/{}/instances", study_uid(1))), 5);
    assert_eq!(count(&format!("/studies/{}/series/{}/instances", study_uid(1), series_uid(1, 2))), 2);
    assert_eq!(program.get("/studies/%2A/series", "").status, 404, "a star is the UID of nothing");
    // Pages of any size, in order or not, are parts of one list.
    let all = program.get("/instances", "").json();
    let uids = |told: &serde_json::Value| -> Vec<String> {
        told.as_array().unwrap().iter().map(|one| one["00080018"]["Value"][0].as_str().unwrap().to_owned()).collect()
    };
    let all = uids(&all);
    assert_eq!(all.len(), 8);
    for (limit, offset) in [(3, 0), (3, 3), (3, 6), (2, 5), (8, 0), (100, 7)] {
        let page = program.get(&format!("/instances?limit={limit}&offset={offset}"), "");
        assert_eq!(uids(&page.json()), all[offset..(offset + limit).min(8)], "{limit} from {offset}");
        assert_eq!(page.header("warning").contains("further results"), offset + limit < 8, "{}", page.head);
    }
    assert_eq!(program.get("/instances?offset=8", "").status, 204);
    let odd = program.get("/studies?Foo=bar&PatientID=B2", "");
    assert!(odd.status == 200 && odd.header("warning").starts_with("299 ") && odd.header("warning").contains("Foo"));
    for bad in ["/studies?limit=-1", "/studies?StudyDate=yesterday"] {
        assert_eq!(program.get(bad, "").status, 400, "{bad}");
    }
    assert_eq!(program.get("/studies", "Accept: image/png\r\n").status, 406);
}

#[test]
fn objects_are_answered_in_a_form_that_is_taken_and_only_once() {
    let ward = ward();
    let program = Program::new(&ward.ferry, "anna", "readers");
    let (study, series) = (study_uid(1), series_uid(1, 1));
    let instance = format!("/studies/{study}/series/{series}/instances/{series}.1");
    let told = program.get(&format!("/studies/{study}"), AS_HELD);
    assert_eq!(told.status, 200);
    assert!(told.header("content-type").starts_with("multipart/related; type=\"application/dicom\"; boundary="));
    assert_eq!(told.body.windows(4).filter(|w| *w == b"DICM").count(), 5);
    // One alone, and known afterwards.
    let alone = program.get(&instance, "Accept: application/dicom\r\n");
    assert_eq!((alone.status, &alone.body[128..132]), (200, &b"DICM"[..]));
    let held = std::fs::read(&ward.files()[0]).unwrap();
    let data = |file: &[u8]| file[file.len() - 200..].to_vec();
    assert_eq!(data(&alone.body), data(&held), "as it came");
    let known = format!("Accept: application/dicom\r\nIf-None-Match: {}\r\n", alone.header("etag"));
    assert_eq!(program.get(&instance, &known).status, 304);
    assert_eq!(program.get(&format!("{instance}/metadata"), "").status, 200);
    for (accept, status) in [
        ("*/*", 200),
        ("multipart/related; type=\"application/dicom\"", 200),
        ("multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2", 200),
        ("multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.90", 406),
        ("text/plain", 406),
    ] {
        assert_eq!(program.get(&instance, &format!("Accept: {accept}\r\n")).status, status, "{accept}");
    }
    let frame = program.get(&format!("{instance}/frames/1"), "Accept: application/octet-stream\r\n");
    assert_eq!((frame.status, frame.body.len() > 8), (200, true), "{}", frame.head);
    let (other, same) = (series_uid(1, 2), &series);
    for (path, status) in [
        (format!("{instance}/frames/2"), 404),
        (format!("{instance}/frames/0"), 400),
        (format!("{instance}/frames/1,1"), 400),
        (format!("/studies/{study}/series/{other}/instances/{same}.1"), 404),
        (format!("/studies/{}/series/{same}", study_uid(2)), 404),
        ("/studies/1.2.3".to_owned(), 404),
        ("/studies/%20/metadata".to_owned(), 404),
        (format!("{instance}/bulkdata/00100010/x"), 404),
        ("/nothing".to_owned(), 404),
    ] {
        assert_eq!(program.get(&path, "").status, status, "{path}");
    }
    let wado = format!("/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={series}.1");
    let told = program.get(&format!("{wado}&contentType=application%2Fdicom"), "");
    assert_eq!((told.status, told.body == alone.body), (200, true));
    assert_eq!(program.get(&format!("{wado}&contentType=text%2Fhtml"), "").status, 406);
    assert_eq!(program.get("/wado?requestType=WADO", "").status, 400);
    // The retrieve log knows who took what, whole objects that is; the audit trail who looked.
    until("the retrieve log", PATIENCE, || {
        let plan = ward.run(&["reallocate", &series, "--to", &study_uid(2), "--dry-run"]);
        plan.out.contains("web:anna").then_some(())
    });
}

#[test]
fn nobody_is_let_in_without_a_token_and_a_privilege_and_pages_of_others_only_by_name() {
    let mut ward = ward();
    ward.set_web("cors = [\"https://viewer.example\"]\nviewers = [\"vera\"]");
    let port = ward.ferry.web;
    let stranger = Told::of(port, "GET", "/studies", "", b"");
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(Told::of(port, "GET", "/studies", "Authorization: Bearer guessed\r\n", b"").status, 401);
    let nobody = Program::new(&ward.ferry, "eve", "nobodies");
    for path in ["/studies", "/series", "/studies/1.2", "/studies/1.2/metadata", "/wado?requestType=WADO"] {
        assert_eq!(nobody.get(path, "").status, 403, "{path}");
    }
    let reader = Program::new(&ward.ferry, "anna", "readers");
    assert_eq!(reader.store("/studies", &[b"x".to_vec()]).status, 403);
    // A page of the viewer may ask, and shows its token; another one gets no permission to read the answer.
    let viewer = "Origin: https://viewer.example\r\nSec-Fetch-Site: cross-site\r\n";
    let asked = Told::of(port, "OPTIONS", "/studies", viewer, b"");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, "https://viewer.example"));
    assert!(asked.header("access-control-allow-headers").contains("Authorization"));
    let told = reader.get("/studies", viewer);
    assert_eq!((told.status, told.header("access-control-allow-origin")), (200, "https://viewer.example"));
    // What a page fetches stays with nobody, nor what a program does that only shows it; what others fetch may.
    let study = format!("/studies/{}", study_uid(1));
    assert_eq!(reader.get(&study, &format!("{AS_HELD}{viewer}")).status, 200);
    let shows = Program::new(&ward.ferry, "vera", "readers");
    assert_eq!(shows.get(&study, AS_HELD).status, 200);
    let keeper = Program::new(&ward.ferry, "carl", "readers");
    assert_eq!(keeper.get(&study, AS_HELD).status, 200);
    let plan = until("the retrieve log", PATIENCE, || {
        let plan = ward.run(&["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--dry-run"]);
        plan.out.contains("web:carl").then_some(plan.out)
    });
    assert!(!plan.contains("web:anna") && !plan.contains("web:vera"), "{plan}");
    let evil = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    assert_eq!(Told::of(port, "OPTIONS", "/studies", evil, b"").header("access-control-allow-origin"), "");
    assert_eq!(reader.get("/studies", evil).header("access-control-allow-origin"), "");
    let bringer = Program::new(&ward.ferry, "ben", "bringers");
    let kind = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=mark\r\n";
    assert_eq!(bringer.send("POST", "/studies", &format!("{kind}{evil}"), b"").status, 403);
    assert_eq!(bringer.send("POST", "/studies", &format!("{kind}{viewer}"), b"").status, 400, "no parts, but let in");
}

#[test]
fn a_moved_series_is_where_it_belongs_and_says_so() {
    let ward = ward();
    let program = Program::new(&ward.ferry, "anna", "readers");
    let (series, from, to) = (series_uid(1, 1), study_uid(1), study_uid(2));
    let path = |study: &str| format!("/studies/{study}/series/{series}");
    let before = program.get(&format!("{}/metadata", path(&from)), "");
    ward.operation(&["reallocate", &series, "--to", &to, "--confirm-patient", "--reason", "WRONG_PATIENT:mixed up"]);
    assert_eq!(program.get(&path(&from), AS_HELD).status, 404);
    let after = program.get(&format!("{}/metadata", path(&to)), "");
    assert_ne!(before.header("etag"), after.header("etag"));
    for one in after.json().as_array().unwrap() {
        assert_eq!(one["00100020"]["Value"][0], TARO.id);
        assert_eq!(one["0020000D"]["Value"][0].as_str().unwrap(), to);
        assert_eq!(one["04000561"]["Value"][0]["04000550"]["Value"][0]["00100020"]["Value"][0], ANNA.id);
    }
    let told = program.get(&path(&to), AS_HELD);
    assert_eq!(told.body.windows(4).filter(|w| *w == b"DICM").count(), 3);
    let seen = program.client("walk", &[]);
    assert_eq!(seen["wrong"], serde_json::json!([]));
    assert_eq!(seen["studies"][&to][&series], 3);
}

#[test]
fn odd_uids_are_had_by_their_addresses() {
    let uid = "LOCALIZER 1/ä?";
    let odd = Object::ct(ANNA, 1, 1, 1).with("StudyInstanceUID", "1.2.3").with("SOPInstanceUID", "1.02.x");
    let ward = Ward::configured(&[odd], ROLES);
    let program = Program::new(&ward.ferry, "anna", "readers");
    let found = program.get("/instances?StudyInstanceUID=1.2.3", "").json();
    let address = found[0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
    let path = address.strip_prefix(&program.base()).unwrap();
    assert_eq!(program.get(&format!("{path}/metadata"), "").json()[0]["00080018"]["Value"][0], "1.02.x");
    let encoded: String = uid.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(program.get(&format!("/studies/{encoded}"), AS_HELD).status, 404);
}
