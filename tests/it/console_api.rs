//! The API of the console as a whole: what goes wrong is told in one shape, everything is in the OpenAPI document, and what
//! is there for monitoring is there for our own hosts only.

use serde_json::Value;

use crate::support::console::{Answer, Browser, first_password, signed_in};
use crate::support::peers::Ferry;

const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// A program with a token of an account that has this role.
fn program(ferry: &Ferry, name: &str, role: &str) -> Browser {
    let made = ferry.run(&["user", "add", name, "--role", role]);
    assert_eq!(made.code, 0, "{}", made.err);
    let token = ferry.json(&["user", "token", name, "--json"]);
    let mut program = Browser::new(ferry.web);
    program.known = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    program
}

fn is_problem(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{what}");
    for text in ["title", "detail"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{what}: {problem}");
    }
    assert!(problem["remedy"].is_string(), "{what}: {problem}");
}

#[test]
fn what_goes_wrong_is_told_in_one_shape() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let reader = program(&ferry, "anna", "readers");
    let long = format!("{{\"series\": [\"{}\"]}}", "1".repeat(300 * 1024));
    for (method, path, headers, body, status) in [
        ("GET", "/api/v1/nothing", "", "", 404),
        ("GET", "/api/v1/jobs/7", "", "", 404),
        ("GET", "/api/v1/jobs/seven", "", "", 400),
        ("GET", "/api/v1/corrections?before=x", "", "", 400),
        ("GET", "/api/v1/studies?StudyDate=yesterday", "", "", 400),
        ("GET", "/api/v1/studies/1.2.3", "", "", 404),
        ("PUT", "/api/v1/jobs", "", "", 405),
        ("GET", "/api/v1/plans", "", "", 405),
        ("POST", "/api/v1/plans", JSON, "{", 400),
        ("POST", "/api/v1/plans", JSON, "{\"colour\": 1}", 400),
        ("POST", "/api/v1/plans", JSON, &long, 413),
        ("POST", "/api/v1/plans", "Content-Type: text/csv\r\n", "a,b", 415),
        ("POST", "/api/v1/jobs", JSON, "{\"source\": \"x\"}", 403),
        ("POST", "/api/v1/studies/1.2.3", JSON, "{\"action\": \"lock\"}", 403),
        ("POST", "/api/v1/studies/1.2.3", JSON, "{\"action\": \"rescan\"}", 403),
        ("GET", "/api/v1/accounts", "", "", 403),
        ("GET", "/api/v1/jobs", "Host: evil.example\r\n", "", 421),
    ] {
        is_problem(&reader.send(method, path, headers, body), status, &format!("{method} {path}"));
    }
    assert_eq!(reader.send("PUT", "/api/v1/jobs", "", "").header("allow"), "GET,HEAD,POST");
    let stranger = Browser::new(ferry.web);
    is_problem(&stranger.get("/api/v1/jobs"), 401, "nobody");
    assert!(stranger.get("/api/v1/jobs").header("www-authenticate").starts_with("Bearer"));
    // What is not here is not a conflict for somebody who may do everything.
    let master = program(&ferry, "berta", "administrator");
    for (path, body, status) in [
        ("/api/v1/studies/1.2.3", "{\"action\": \"lock\"}", 404),
        ("/api/v1/studies/1.2.3", "{\"action\": \"rescan\"}", 409),
        ("/api/v1/corrections/7/undo", "{}", 404),
        ("/api/v1/corrections", "{\"series\": [\"1.2\"], \"to\": \"1.3\"}", 404),
    ] {
        is_problem(&master.send("POST", path, JSON, body), status, path);
    }
}

#[test]
fn every_operation_of_the_document_is_there_and_guarded() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    first_password(&ferry);
    let stranger = Browser::new(ferry.web);
    let document = stranger.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path =
                path.replace("{id}", "1").replace("{uid}", "1.2").replace("{number}", "1").replace("{name}", "x");
            let answer = stranger.send(&method.to_uppercase(), &path, "", "");
            is_problem(&answer, 401, &format!("{method} {path}"));
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
    let browser = signed_in(&ferry, "anna", "administrator");
    let page = browser.get("/api").body;
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(path.as_str()), "{path}");
    }
}

#[test]
fn pages_that_refuse_lead_on() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = format!("csrf={}&name={}", browser.csrf, "x".repeat(300 * 1024));
    for (method, path, body, status) in [
        ("GET", "/nowhere", "", 404),
        ("GET", "/jobs/7", "", 404),
        ("GET", "/jobs/seven", "", 400),
        ("GET", "/assets/none.css", "", 404),
        ("POST", "/studies", "", 405),
        ("POST", "/accounts", long.as_str(), 413),
    ] {
        let answer = browser.send(method, path, form, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.header("content-type").starts_with("text/html"), "{method} {path}");
        assert!(answer.body.contains("<nav") && answer.body.contains("role=\"alert\""), "{path}: {}", answer.body);
    }
    let stranger = Browser::new(ferry.web).get("/nowhere");
    assert!(stranger.status == 404 && !stranger.body.contains("<nav"), "{}", stranger.body);
}

#[test]
fn monitoring_is_answered_by_any_name_and_the_console_by_its_own() {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    let _node = ferry.serve();
    let stranger = Browser::new(ferry.web);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(stranger.get(path).status, 200, "{path}");
        assert_eq!(stranger.send("GET", path, "Host: ferry.example\r\n", "").status, 200, "{path}");
    }
    let turned_away = stranger.send("GET", "/api/v1/me", "Host: ferry.example\r\n", "");
    assert_eq!(turned_away.status, 421, "{}", turned_away.body);
    let problem: Value = stranger.get("/api/v1/me").json();
    assert_eq!(problem["status"], 401);
}
