//! Accounts on the console: made, changed and taken away by their administrator, never all of them, and told to the audit
//! trail.

use serde_json::{Value, json};

use crate::support::console::{Browser, PASSWORD, first_password, signed_in};
use crate::support::peers::{Ferry, PATIENCE, until};
use crate::support::running::Running;

const ROLES: &str = "[[role]]\nname = \"strangers\"\nprivileges = []\n[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n\
                     [[role]]\nname = \"chiefs\"\nprivileges = [\"view\", \"administer\"]\n";

fn ask(browser: &Browser, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let headers = format!("Content-Type: application/json\r\nX-CSRF-Token: {}\r\n", browser.csrf);
    let answer = browser.send(method, path, &headers, &body.to_string());
    (answer.status, if answer.status == 204 { Value::Null } else { answer.json() })
}

/// Waits until the audit trail has an entry of a kind that says this, and gives all of the kind.
fn told(ferry: &Ferry, event: &str, what: &str) -> Vec<Value> {
    until(&format!("the audit trail has {event}: {what}"), PATIENCE, || {
        let all = ferry.json(&["audit", "--json"]);
        let entries = all.as_array().unwrap().iter().filter(|entry| entry["event"] == event);
        let entries: Vec<Value> = entries.cloned().collect();
        entries.iter().any(|entry| entry["what"].as_str().unwrap().contains(what)).then_some(entries)
    })
}

#[test]
fn an_administrator_makes_and_changes_accounts_as_pages() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let master = signed_in(&ferry, "anna", "administrator");
    assert!(master.get("/jobs").body.contains("href=\"/accounts\""));
    let made = master.post("/accounts", &[("name", "ben"), ("role", "readers")]);
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = |page: &str| {
        let (_, rest) = page.split_once("<p><code>").unwrap();
        rest.split_once("</code>").unwrap().0.to_owned()
    };
    let mut ben = Browser::new(ferry.web);
    ben.begin("ben", &secret(&made.body));
    assert!(!ben.get("/jobs").body.contains("href=\"/accounts\""));
    assert_eq!(ben.get("/accounts").status, 403);
    assert_eq!(ben.post("/accounts/ben", &[("action", "roles"), ("role", "administrator")]).status, 403);
    assert!(master.get("/accounts").body.contains("readers"));
    for (path, form, status) in [
        ("/accounts", &[("name", "ben")][..], 409),
        ("/accounts", &[("name", "no/name")], 400),
        ("/accounts", &[("name", "carl"), ("role", "kings")], 400),
        ("/accounts/nobody", &[("action", "disable")], 404),
        ("/accounts/ben", &[("action", "dance")], 400),
        ("/accounts/ben", &[("action", "token"), ("for", " ")], 400),
    ] {
        assert_eq!(master.post(path, form).status, status, "{path} {form:?}");
    }
    let token = master.post("/accounts/ben", &[("action", "token"), ("for", "nightly <report>")]);
    let mut program = Browser::new(ferry.web);
    program.known = format!("Authorization: Bearer {}\r\n", secret(&token.body));
    assert_eq!(program.get("/api/v1/jobs").status, 200);
    let page = master.get("/accounts/ben").body;
    assert!(page.contains("nightly &#60;report&#62;") && !page.contains(&secret(&token.body)), "{page}");
    // Roles hold from the next request on; none of them is nothing.
    assert_eq!(master.post("/accounts/ben", &[("action", "roles")]).header("location"), "/accounts/ben");
    assert_eq!(ben.get("/jobs").status, 403);
    assert_eq!(master.post("/accounts/ben", &[("action", "roles"), ("role", "readers")]).status, 303);
    assert_eq!(master.post("/accounts/ben", &[("action", "end-sessions")]).status, 303);
    assert_eq!((ben.get("/jobs").status, program.get("/api/v1/jobs").status), (303, 200));
    let renewed = secret(&master.post("/accounts/ben", &[("action", "password")]).body);
    assert_eq!(program.get("/api/v1/jobs").status, 401, "tokens end with the password");
    assert_eq!(ben.sign_in("ben", PASSWORD).status, 401);
    ben.begin("ben", &renewed);
    assert_eq!(master.post("/accounts/ben", &[("action", "disable")]).status, 303);
    assert_eq!(ben.get("/jobs").status, 303);
    assert_eq!(master.post("/accounts/ben", &[("action", "remove")]).header("location"), "/accounts");
    assert_eq!(master.get("/accounts/ben").status, 404);
}

#[test]
fn the_same_for_programs_and_the_last_administrator_stays() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let master = signed_in(&ferry, "anna", "chiefs");
    let me = master.get("/api/v1/me").json();
    assert_eq!(me, json!({ "name": "anna", "roles": ["chiefs"], "privileges": ["view", "administer"] }));
    // The first account has never signed in, and may administer all the same.
    assert_eq!(ask(&master, "DELETE", "/api/v1/accounts/admin", &json!({})).0, 204);
    for (method, body) in
        [("DELETE", json!({})), ("POST", json!({ "disabled": true })), ("POST", json!({ "roles": ["readers"] }))]
    {
        let (status, problem) = ask(&master, method, "/api/v1/accounts/anna", &body);
        assert_eq!(status, 409, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("nobody but anna"), "{problem}");
    }
    let (status, made) = ask(&master, "POST", "/api/v1/accounts", &json!({ "name": "ben", "roles": ["readers"] }));
    assert_eq!((status, made["password"].as_str().map(str::len)), (201, Some(20)), "{made}");
    let (status, token) = ask(&master, "POST", "/api/v1/accounts/ben/tokens", &json!({ "for": "ris" }));
    assert_eq!(status, 201, "{token}");
    let ben = master.get("/api/v1/accounts/ben").json();
    assert_eq!((&ben["tokens"][0]["for"], &ben["tokens"][0]["id"]), (&json!("ris"), &token["id"]), "{ben}");
    assert_eq!((&ben["disabled"], &ben["must_change"]), (&json!(false), &json!(true)));
    let one = format!("/api/v1/accounts/ben/tokens/{}", token["id"]);
    assert_eq!(ask(&master, "DELETE", &one, &json!({})).0, 204);
    assert_eq!(ask(&master, "DELETE", &one, &json!({})).0, 404);
    let (_, changed) = ask(&master, "POST", "/api/v1/accounts/ben", &json!({ "roles": ["chiefs"] }));
    assert_eq!(changed["privileges"], json!(["view", "administer"]), "{changed}");
    let (status, changed) = ask(&master, "POST", "/api/v1/accounts/anna", &json!({ "disabled": true }));
    assert_eq!((status, &changed["disabled"]), (200, &json!(true)), "there is another one now");
    assert_eq!(master.get("/api/v1/me").status, 401);
    // Everybody is in the audit trail with what he did.
    for (event, what) in [
        ("login", "authenticated"),
        ("account", "anna chose a password"),
        ("account", "account ben was made with the roles readers"),
        ("account", "account ben was given a token for ris"),
        ("account", "account ben has the roles chiefs"),
        ("account", "account anna may not sign in any more"),
    ] {
        let entries = told(&ferry, event, what);
        let of_it = entries.iter().filter(|entry| entry["what"].as_str().unwrap().contains(what));
        assert!(of_it.into_iter().all(|entry| entry["who"] == "anna at 127.0.0.1"), "{entries:?}");
    }
    // And so is who does it by the command.
    ferry.json(&["user", "set", "ben", "--role", "readers", "--disable", "--json"]);
    ferry.json(&["user", "remove", "ben", "--json"]);
    for what in ["account ben has the roles readers", "account ben may not sign in", "account ben was removed"] {
        let entries = told(&ferry, "account", what);
        let of_it = entries.iter().find(|entry| entry["what"].as_str().unwrap().contains(what));
        assert!(!of_it.unwrap()["who"].as_str().unwrap().contains(" at "), "{entries:?}");
    }
}

#[test]
fn who_may_not_look_any_more_is_told_no_more_of_a_job_that_he_follows() {
    let ferry = Ferry::new();
    let folder = ferry.folder().join("ct");
    std::fs::create_dir(&folder).unwrap();
    ferry.configure_with(&[], ROLES);
    ferry.json(&["import", folder.to_str().unwrap(), "--copy", "--detach", "--json"]);
    let _node = ferry.serve();
    first_password(&ferry);
    for (name, what) in [("anna", &["--disable"][..]), ("ben", &["--role", "strangers"])] {
        ferry.json(&["user", "add", name, "--role", "readers", "--json"]);
        let token = ferry.json(&["user", "token", name, "--json"]);
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--header"]);
        curl.arg(format!("Authorization: Bearer {}", token["token"].as_str().unwrap()));
        curl.arg(format!("http://127.0.0.1:{}/jobs/1/events", ferry.web));
        let mut follows = Running::of(&ferry, curl);
        until("the first event", PATIENCE, || follows.said().contains("progress").then_some(()));
        ferry.json(&[&["user", "set", name, "--json"], what].concat());
        assert_eq!(follows.ends(PATIENCE), Some(0), "{name}");
    }
}

#[test]
fn the_audit_trail_says_who_signed_out_and_who_failed_to_sign_in() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    first_password(&ferry);
    let mut reader = signed_in(&ferry, "anna", "readers");
    assert_eq!(reader.sign_in("anna", "a guess").status, 401);
    assert_eq!(reader.post("/sign-out", &[]).status, 303);
    let out = told(&ferry, "logout", "signed out");
    assert_eq!((out.len(), &out[0]["who"]), (1, &json!("anna at 127.0.0.1")));
    let failed = told(&ferry, "login", "could not sign in");
    assert_eq!(failed.last().unwrap()["outcome"], json!("minor failure"), "{failed:?}");
}
