//! Signing in by an identity provider: who it vouches for gets in with the roles of his groups, and what it says is believed
//! only if it is its own word, for us, for this sign-in, and of now.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::console::{Answer, Browser, first_password, signed_in};
use crate::support::peers::Ferry;
use crate::support::provider::{IdentityProvider, Says};

/// What the provider sends a browser back with, when that comes from us.
fn sent_back(provider: &IdentityProvider, location: &str) -> String {
    let origin = format!("http://127.0.0.1:{}", provider.port);
    let path = location.strip_prefix(origin.as_str()).unwrap_or_else(|| panic!("{location}"));
    let mut stream = TcpStream::connect(("127.0.0.1", provider.port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, rest) = answer.split_once("Location: ").unwrap_or_else(|| panic!("{answer}"));
    let (back, _) = rest.split_once("\r\n").unwrap();
    let (_, path) = back.split_once("/sign-in/").unwrap();
    format!("/sign-in/{path}")
}

/// All the cookies of an answer, as a browser sends them.
fn cookies(answer: &Answer) -> String {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let set = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let pairs: Vec<&str> = set.map(|(_, value)| value.split(';').next().unwrap()).collect();
    format!("Cookie: {}\r\n", pairs.join("; "))
}

/// The whole way there and back.
fn came_back(ferry: &Ferry, provider: &IdentityProvider) -> Answer {
    let mut browser = Browser::new(ferry.web);
    let away = browser.get("/sign-in/oidc?next=%2Fstudies");
    assert_eq!(away.status, 303, "{}", away.body);
    assert!(away.header("set-cookie").contains("HttpOnly; SameSite=Lax"), "{}", away.head);
    browser.known = cookies(&away);
    browser.get(&sent_back(provider, away.header("location")))
}

#[test]
fn who_is_vouched_for_gets_in_with_the_roles_of_his_groups() {
    let provider = IdentityProvider::start();
    let ferry = provider.ferry();
    let _node = ferry.serve();
    first_password(&ferry);
    let mut browser = Browser::new(ferry.web);
    assert!(browser.get("/sign-in").body.contains("Sign in with Hospital &#38; Co"));
    let there = came_back(&ferry, &provider);
    assert_eq!(there.status, 200, "{}", there.body);
    assert!(there.body.contains("content=\"0;url=/studies\""), "{}", there.body);
    browser.known = cookies(&there);
    let page = browser.get("/studies");
    assert!(page.status == 200 && page.body.contains(">olga</a>"), "{}", page.body);
    assert_eq!(browser.get("/api/v1/me").json()["privileges"], json!(["view"]));
    assert_eq!(Browser::new(ferry.web).sign_in("olga", "").status, 401, "there is no password");
    // Signing out here tells where one signs out there.
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").unwrap();
    browser.csrf = rest.split('"').next().unwrap().to_owned();
    let out = browser.post("/sign-out", &[]);
    assert!(out.status == 200 && out.body.contains("/realm/logout?client_id=us"), "{}", out.body);
    assert_eq!(browser.get("/studies").status, 303);
    // Other groups, other roles, the next time.
    let says = |claims: Value| Says { claims: claims.as_object().unwrap().clone(), ..Says::default() };
    provider.says(says(json!({ "groups": ["pacs-admins"] })));
    browser.known = cookies(&came_back(&ferry, &provider));
    assert_eq!(browser.get("/accounts").status, 200);
    // In no group that has a role: out, at once.
    provider.says(says(json!({ "groups": ["kitchen"] })));
    let refused = came_back(&ferry, &provider);
    assert!(refused.status == 403 && refused.body.contains("in no group"), "{}", refused.body);
    assert_eq!(browser.get("/accounts").status, 303);
    // Nobody gets the account of somebody else by calling himself so.
    signed_in(&ferry, "anna", "administrator");
    provider.says(says(json!({ "preferred_username": "anna", "groups": ["pacs-admins"] })));
    let refused = came_back(&ferry, &provider);
    assert!(refused.status == 403 && refused.body.contains("another account is called anna"), "{}", refused.body);
}

#[test]
fn what_is_not_the_providers_own_word_for_this_sign_in_is_not_believed() {
    let provider = IdentityProvider::start();
    let ferry = provider.ferry();
    let _node = ferry.serve();
    first_password(&ferry);
    let claims = |claims: Value| Says { claims: claims.as_object().unwrap().clone(), ..Says::default() };
    for says in [
        claims(json!({ "iss": "http://evil.example" })),
        claims(json!({ "aud": "them" })),
        claims(json!({ "aud": ["us", "them"] })),
        claims(json!({ "azp": "them" })),
        claims(json!({ "nonce": "another" })),
        claims(json!({ "exp": 1_000_000_000 })),
        claims(json!({ "nbf": 9_000_000_000_u64 })),
        Says { forged: true, ..Says::default() },
        Says { unsigned: true, ..Says::default() },
    ] {
        provider.says(says.clone());
        let answer = came_back(&ferry, &provider);
        assert_eq!(answer.status, 403, "{says:?}: {}", answer.body);
        assert!(!answer.head.contains("__Host-pacsferry=ey") && !answer.body.contains("You are signed in"), "{says:?}");
    }
    provider.says(Says::default());
    // What was not begun in this browser is not ended in it.
    let browser = Browser::new(ferry.web);
    let away = browser.get("/sign-in/oidc");
    let back = sent_back(&provider, away.header("location"));
    assert_eq!(browser.get(&back).status, 403, "no cookie");
    let mut other = Browser::new(ferry.web);
    other.known = cookies(&other.get("/sign-in/oidc"));
    assert_eq!(other.get(&back).status, 403, "the cookie of another sign-in");
    // A code is good for once.
    let mut browser = Browser::new(ferry.web);
    let away = browser.get("/sign-in/oidc");
    browser.known = cookies(&away);
    let back = sent_back(&provider, away.header("location"));
    assert_eq!(browser.get(&back).status, 200);
    assert_eq!(browser.get(&back).status, 502);
    assert_eq!(browser.get("/sign-in/oidc/back?error=access_denied&state=x").status, 403);
}
