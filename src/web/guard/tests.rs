//! What passes the guard, and what does not.

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[test]
fn only_hosts_of_ours_are_answered() {
    let config = crate::config::parse("[web]\nnames = [\"pacs.hospital.example\"]\n", None).unwrap();
    for ours in ["127.0.0.1", "[::1]", "localhost", "LOCALHOST", "10.1.2.3", "pacs.hospital.example"] {
        assert!(is_ours(ours, &config), "{ours}");
    }
    for foreign in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
        assert!(!is_ours(foreign, &config), "{foreign}");
    }
    assert_eq!(without_port("[::1]:80"), "[::1]");
    assert_eq!(without_port("localhost:8080"), "localhost");
    assert_eq!(without_port("localhost"), "localhost");
}

#[test]
fn a_proxy_says_who_asks_and_nobody_else_does() {
    let config = crate::config::parse("[web]\nproxies = [\"10.0.0.0/24\"]\n", None).unwrap();
    let asked = |peer: &str, told: &str| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
        request.headers_mut().insert("x-forwarded-for", told.parse().unwrap());
        whence(&request, &config).to_string()
    };
    assert_eq!(asked("10.0.0.1", "6.6.6.6, 192.0.2.7"), "192.0.2.7", "what stands before is a stranger's word");
    assert_eq!(asked("10.0.0.1", "192.0.2.7, 10.0.0.9"), "192.0.2.7", "two proxies");
    assert_eq!(asked("10.0.0.1", "nonsense"), "10.0.0.1");
    assert_eq!(asked("192.0.2.9", "6.6.6.6"), "192.0.2.9", "no proxy of ours");
    assert_eq!((config.web.most_from([10, 0, 0, 7].into()), config.web.most_from([127, 0, 0, 1].into())), (None, None));
    assert_eq!(config.web.most_from([192, 0, 2, 7].into()), Some(32));
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let foreign = |pairs: &[(&'static str, &str)]| is_foreign(&headers(pairs), None);
    let host = ("host", "localhost:8080");
    assert!(!foreign(&[host]), "a program");
    assert!(!foreign(&[host, ("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]));
    assert!(foreign(&[host, ("origin", "http://localhost:8081")]));
    assert!(foreign(&[host, ("origin", "null")]));
    assert!(foreign(&[host, ("sec-fetch-site", "cross-site")]));
    assert!(foreign(&[host, ("sec-fetch-site", "same-site")]));
}

#[test]
fn who_signs_in_again_comes_back_to_his_page() {
    let back =
        |referer: &str| came_from(&headers(&[("host", "localhost:8080"), ("referer", referer)])).map(str::to_owned);
    assert_eq!(back("http://localhost:8080/plan?to=1.2").as_deref(), Some("/plan?to=1.2"));
    for elsewhere in
        ["http://localhost:80801/plan", "http://evil.example/localhost:8080/", "/plan", "http://localhost:8080"]
    {
        assert_eq!(back(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn a_token_is_taken_from_the_cookie_or_from_the_header() {
    let of = |pairs: &[(&'static str, &str)]| token(&headers(pairs));
    assert_eq!(of(&[("cookie", "a=b; __Host-pacsferry=xyz; c=d")]).as_deref(), Some("xyz"));
    assert_eq!(of(&[("authorization", "Bearer xyz")]).as_deref(), Some("xyz"));
    assert_eq!(of(&[("authorization", "Basic xyz")]), None);
    assert_eq!(of(&[("cookie", "pacsferry=xyz")]), None);
}
