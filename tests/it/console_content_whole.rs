//! Whole studies merged, series and single objects split off: as the forms of the console and programs ask for it, and as
//! it is seen from outside.

use serde_json::{Value, json};

use crate::support::console::{Answer, Browser, first_password, signed_in};
use crate::support::peers::{PATIENCE, until};
use crate::support::ward::{ANNA, Object, TARO, Ward, series_uid, slices, study_uid};

const JSON: &str = "Content-Type: application/json\r\n";

/// Sends a document as a program would that has the session of a browser.
fn ask(browser: &Browser, path: &str, body: &Value) -> Answer {
    browser.send("POST", path, &format!("{JSON}X-CSRF-Token: {}\r\n", browser.csrf), &body.to_string())
}

/// Sends it until nothing that has just come in is thought to go on.
fn done(browser: &Browser, path: &str, body: &Value) -> Value {
    until("nothing is in the way", PATIENCE, || {
        let answer = ask(browser, path, body);
        if answer.status == 409 && (answer.body.contains("is filing into") || answer.body.contains("has changed")) {
            return None;
        }
        assert_eq!(answer.status, 201, "{}", answer.body);
        Some(answer.json())
    })
}

/// What a form brings along.
fn field(page: &str, name: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_study_is_merged_and_objects_are_split_off_by_programs_as_seen_from_outside() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 2)].concat());
    first_password(&ward.ferry);
    let browser = signed_in(&ward.ferry, "anna", "administrator");
    let (from, to) = (study_uid(1), study_uid(2));
    let merge = json!({ "study": from, "to": to, "confirm_patient": true, "reason": "DOUBLE" });
    let merged = done(&browser, "/api/v1/corrections", &merge);
    let counts = ["StudyInstanceUID", "NumberOfStudyRelatedInstances", "PatientID"];
    assert_eq!(ward.find("STUDY", &counts), [format!("{to} | 5 | {}", TARO.id)]);
    let operation = merged["operation"].as_i64().unwrap();
    let undone = ask(&browser, &format!("/api/v1/corrections/{operation}/undo"), &json!({ "reason": "BACK" }));
    assert_eq!(undone.status, 200, "{}", undone.body);
    assert_eq!(ward.find("STUDY", &counts).len(), 2);
    // One object goes to a study of its own, which nobody has named.
    let object = Object::ct(ANNA, 1, 1, 2).uid().to_owned();
    let split = json!({ "instances": [object], "from": from, "reason": "TWO_EXAMS" });
    done(&browser, "/api/v1/corrections", &split);
    let studies = browser.get("/api/v1/studies").json();
    let new = studies["studies"].as_array().unwrap().iter().map(|study| study["StudyInstanceUID"].as_str().unwrap());
    let new = new.into_iter().find(|uid| *uid != from && *uid != to).unwrap().to_owned();
    assert_eq!(ward.moved(&new).into_keys().collect::<Vec<_>>(), [object]);
    let series = series_uid(1, 1);
    let objects = browser.get(&format!("/api/v1/objects?study={from}&series={series}")).json();
    let left = objects["objects"].as_array().unwrap().iter().map(|one| one["SOPInstanceUID"].as_str().unwrap());
    assert_eq!(left.collect::<Vec<_>>(), [Object::ct(ANNA, 1, 1, 1).uid()]);
    assert_eq!(browser.get(&format!("/api/v1/objects?study={from}&series=9.9")).status, 404);
}

#[test]
fn the_page_of_a_study_merges_splits_and_moves_several_series_without_a_script() {
    let ward = Ward::of(
        &[slices(ANNA, 1, 1, 1), slices(ANNA, 1, 2, 1), slices(ANNA, 1, 3, 1), slices(TARO, 2, 1, 1)].concat(),
    );
    first_password(&ward.ferry);
    let browser = signed_in(&ward.ferry, "anna", "administrator");
    let (from, to) = (study_uid(1), study_uid(2));
    let (one, two) = (series_uid(1, 1), series_uid(1, 2));
    let page = browser.get(&format!("/studies/{from}"));
    for part in ["value=\"merge\"", "value=\"split\"", "value=\"move\"", &one, "/objects?study="] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let plan = |query: &str| browser.get(&format!("/plan?from={from}&{query}"));
    assert!(plan(&format!("series={one}&to={to}&act=merge")).body.contains("<h1>Merge: 3 objects"));
    let split = plan(&format!("series={one}&series={two}&to=&act=split"));
    assert!(split.status == 200 && split.body.contains("<h1>Split: 2 objects in 2 series"), "{}", split.body);
    assert_eq!(plan(&format!("series={one}&to=&act=move")).status, 400, "no study is made by a mistake");
    assert_eq!(plan("act=merge").status, 400);
    // A choice that is too long for an address comes as a form, and is answered as one.
    let asked = [("from", from.as_str()), ("series", &one), ("series", &two), ("to", &to)];
    until("nothing is in the way", PATIENCE, || {
        browser.post("/plan", &asked).body.contains("id=\"commit\"").then_some(())
    });
    let posted = browser.post("/plan", &asked);
    assert!(posted.status == 200 && posted.body.contains("<h1>Reallocate: 2 objects"), "{}", posted.body);
    let sheet = field(&posted.body, "sheet");
    let form = [
        ("from", from.as_str()),
        ("series", &one),
        ("series", &two),
        ("to", &to),
        ("sheet", &sheet),
        ("confirm_patient", "yes"),
    ];
    let moved = browser.post("/corrections", &form);
    assert_eq!((moved.status, moved.header("location")), (303, "/corrections?done=1"), "{}", moved.body);
    assert_eq!(
        ward.find("STUDY", &["StudyInstanceUID", "NumberOfStudyRelatedSeries"]),
        [format!("{from} | 1"), format!("{to} | 3")]
    );
    // The parts of the split screen.
    let panes = browser.get(&format!("/panes/studies?StudyInstanceUID={to}"));
    assert!(
        panes.body.contains("data-pick=\"study\"") && panes.body.contains(&format!("data-study=\"{to}\"")),
        "{}",
        panes.body
    );
    assert!(!panes.body.contains(&format!("data-study=\"{from}\"")));
    assert!(browser.get(&format!("/panes/series?uid={to}")).body.contains(&format!("data-series=\"{one}\"")));
    let objects = browser.get(&format!("/panes/objects?study={to}&series={one}"));
    assert!(objects.body.contains(&format!("data-object=\"{}\"", Object::ct(ANNA, 1, 1, 1).uid())), "{}", objects.body);
}

#[test]
fn an_odd_study_uid_is_no_way_to_another_page() {
    let odd = ["..", "1.2?x=3", "1/2", "a\"'b", "*", "..%2Fjobs"];
    let objects: Vec<Object> = odd
        .iter()
        .enumerate()
        .map(|(number, uid)| {
            let series = format!("1.9.{}", number + 1);
            let object = Object::ct(ANNA, 1, 1, number + 1).with("StudyInstanceUID", *uid);
            object.with("SeriesInstanceUID", series.as_str())
        })
        .collect();
    let ward = Ward::of(&objects);
    first_password(&ward.ferry);
    let browser = signed_in(&ward.ferry, "anna", "administrator");
    let listed = browser.get("/studies").body;
    let mut seen = 0;
    for address in listed.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        if !address.starts_with("/study?uid=") {
            assert!(!address.starts_with("/studies/"), "{address}");
            continue;
        }
        let page = browser.get(address);
        // A study whose UID could mean every study is told by nobody else's page.
        let every = address.ends_with("=*");
        assert_eq!(page.status, if every { 404 } else { 200 }, "{address}: {}", page.body);
        assert!(every || page.body.contains("<title>Study"), "{address}");
        seen += 1;
    }
    assert_eq!(seen, odd.len(), "{listed}");
    let lock = browser.post("/study?uid=..", &[("action", "lock"), ("reason", "odd")]);
    assert_eq!((lock.status, lock.header("location")), (303, "/study?uid=.."), "{}", lock.body);
    assert!(browser.get("/study?uid=..").body.contains("Locked by anna"));
    let unlocked = ask(&browser, "/api/v1/studies", &json!({ "study": "..", "action": "unlock" }));
    assert!(unlocked.status == 200 && unlocked.json()["locked_by"].is_null(), "{}", unlocked.body);
}

#[test]
fn who_was_signed_out_over_a_plan_comes_back_to_it() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(TARO, 2, 1, 1)].concat());
    first_password(&ward.ferry);
    let browser = Browser::new(ward.ferry.web);
    let plan = format!("/plan?from={}&series={}&to={}", study_uid(1), series_uid(1, 1), study_uid(2));
    let referer = format!(
        "Referer: http://127.0.0.1:{}{plan}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        browser.port
    );
    let away = browser.send("POST", "/corrections", &referer, "csrf=old");
    let location = away.header("location");
    assert!(away.status == 303 && location.starts_with("/sign-in?next=%2Fplan%3Ffrom%3D"), "{location}");
}
